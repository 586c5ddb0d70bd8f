"""The process that stores and removes chunks for one worker, and ends.

    worker   ──(stdin: a JSON line and its data)──>   commands: replace, remove, compact; answers to "turn"
    worker   <──(stdout: one JSON line each)──        "done" or an error for each command; "turn", "turn_ended"

LanceDB keeps memory for each commit and gives none of it back: it belongs to a process that ends. Commands run
concurrently, as in a worker. When the standard input closes, the process ends after the commands that are running.

Logs:
    chunks_not_stored  error: the type of an unexpected one
"""

import asyncio
import itertools
import json
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, TextIO

from documents.chunks.table import ChunkTable
from documents.errors import ChunksUnavailable, DocumentError
from documents.memory import give_back_free_memory, limit_arenas, memory_bytes
from documents.models import Chunk, EmbeddingModel
from documents.storage_errors import translate_storage_errors

logger = logging.getLogger(__name__)

_IGNORED_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)  # the worker decides
_NICE: Final = 5  # answering a question has priority over an ingest
_BYTES_PER_VALUE: Final = 4


class StoringProcess:
    """Runs the worker's commands on one event loop."""

    def __init__(self, commands: asyncio.StreamReader, output: TextIO) -> None:
        self._commands = commands
        self._output = output
        self._turns: dict[int, asyncio.Future[bool]] = {}
        self._turn_ids = itertools.count()

    async def run(self, url: str) -> None:
        table = await ChunkTable.open(url, self._take_turn)
        tasks: set[asyncio.Task[None]] = set()
        while line := await self._commands.readline():
            command = json.loads(line)
            if "granted" in command:
                self._turns.pop(command["turn_id"]).set_result(command["granted"])
                continue
            data = await self._commands.readexactly(command["bytes"])
            task = asyncio.create_task(self._run(table, command, data))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        for turn in self._turns.values():
            turn.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, table: ChunkTable, command: dict[str, Any], data: bytes) -> None:
        try:
            with translate_storage_errors(ChunksUnavailable):
                await _execute(table, command, data)
            outcome: dict[str, Any] = {"done": True}
        except DocumentError as error:
            outcome = {"error": {"code": error.code, "message": error.message}}
        except Exception as error:  # noqa: BLE001  # the worker must not wait for ever
            logger.error("chunks_not_stored error=%s", type(error).__name__)  # noqa: TRY400  # its text may quote a chunk
            outcome = {"error": {"code": ChunksUnavailable.code, "message": ChunksUnavailable().message}}
        await asyncio.to_thread(give_back_free_memory)
        self._send(outcome | {"id": command["id"], "memory_bytes": memory_bytes()})

    @asynccontextmanager
    async def _take_turn(self, table: str) -> AsyncIterator[bool]:
        """The turn to create a table, which the worker asks other workers for."""
        turn_id = next(self._turn_ids)
        self._turns[turn_id] = asyncio.get_running_loop().create_future()
        self._send({"turn": table, "turn_id": turn_id})
        is_granted = await self._turns[turn_id]
        try:
            yield is_granted
        finally:
            self._send({"turn_ended": turn_id})

    def _send(self, message: dict[str, Any]) -> None:
        print(json.dumps(message), file=self._output, flush=True)


async def _execute(table: ChunkTable, command: dict[str, Any], data: bytes) -> None:
    if command["command"] == "remove":
        await table.remove(command["document_id"])
    elif command["command"] == "compact":
        await table.compact()
    else:
        model = EmbeddingModel(**command["model"])
        chunks = [Chunk(*fields) for fields in json.loads(data[: command["chunk_bytes"]])]
        size = _BYTES_PER_VALUE * model.dimensions
        vectors = [data[start : start + size] for start in range(command["chunk_bytes"], len(data), size)]
        await table.replace(command["document_id"], command["tenant"], model, chunks, vectors)


async def _main(url: str, output: TextIO) -> None:
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    await StoringProcess(commands, output).run(url)


def main() -> None:
    for number in _IGNORED_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    os.nice(_NICE)
    output = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # output that libraries print goes to standard error
    limit_arenas()
    asyncio.run(_main(sys.argv[1], output))
    output.flush()
    os._exit(0)  # without waiting for LanceDB's threads


if __name__ == "__main__":
    main()
