"""Stores and removes chunks through a process of its own, which ends when it has grown or has nothing to do.

A worker that only ingests never loads LanceDB. One that also answers questions loads it to search.

Logs:
    turn_not_taken, turn_not_ended  error: the turn to create a table; it is asked for again, or expires
"""

import asyncio
import itertools
import json
import logging
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import asdict
from typing import Any, Final

from documents.chunks.table import CreationTurn, always
from documents.errors import ChunksUnavailable, DocumentError, DocumentsNotInstalled, StorageFull
from documents.models import Chunk, EmbeddingModel

logger = logging.getLogger(__name__)

_MAX_MEMORY_BYTES: Final = 320 * 1024**2  # LanceDB alone has 200 MB, and 40 documents of 20 pages add 130
_IDLE_SECONDS: Final = 20.0  # starting another process takes two seconds
_END_SECONDS: Final = 90.0  # for the commands that are running, longer than the maintenance of the indexes
_MAX_LINE_BYTES: Final = 1024**2
_ERRORS: Final = {error.code: error for error in (ChunksUnavailable, StorageFull, DocumentsNotInstalled)}


class ChunkWriter:
    """Belongs to one event loop. Its methods raise ChunksUnavailable, StorageFull and DocumentsNotInstalled."""

    def __init__(self, url: str, creation_turn: CreationTurn = always) -> None:
        self._url = url
        self._creation_turn = creation_turn
        self._start_lock = asyncio.Lock()
        self._process: _Process | None = None

    async def replace(
        self, document_id: str, tenant: str, model: EmbeddingModel, chunks: Sequence[Chunk], vectors: Sequence[bytes]
    ) -> None:
        """Replace all chunks of the document in one commit; see ChunkTable.replace."""
        texts = json.dumps([(chunk.index, chunk.page, chunk.start, chunk.end, chunk.text) for chunk in chunks]).encode()
        await self._run(
            b"".join((texts, *vectors)),
            command="replace",
            document_id=document_id,
            tenant=tenant,
            model=asdict(model),
            chunk_bytes=len(texts),
        )

    async def remove(self, document_id: str) -> None:
        """Remove the document's chunks of every model. A document without chunks is not an error."""
        await self._run(command="remove", document_id=document_id)

    async def compact(self) -> None:
        """Delete rows from the disk that were removed some time ago."""
        await self._run(command="compact")

    async def close(self) -> None:
        """End the process, after the commands that are running."""
        if self._process is not None:
            await self._process.end()

    async def _run(self, data: bytes = b"", **command: Any) -> None:
        """A command whose caller is cancelled is not: its outcome would be unknown."""
        await asyncio.shield(asyncio.ensure_future(self._run_to_end(data, command)))

    async def _run_to_end(self, data: bytes, command: dict[str, Any]) -> None:
        async with self._start_lock:
            if self._process is not None and self._process.is_ending:
                await self._process.end()
                self._process = None
            if self._process is None:
                self._process = await _Process.start(self._url, self._creation_turn)
            outcome = self._process.send(command | {"bytes": len(data)}, data)
        await outcome


class _Process:
    """One storing process: the commands that it runs, and its end."""

    def __init__(self, process: asyncio.subprocess.Process, creation_turn: CreationTurn) -> None:
        self._process = process
        self._creation_turn = creation_turn
        self._command_ids = itertools.count()
        self._running: dict[int, asyncio.Future[None]] = {}
        self._turns: dict[int, AsyncExitStack] = {}
        self._idle_timer: asyncio.TimerHandle | None = None
        self.is_ending = False
        self._reader = asyncio.ensure_future(self._read())

    @classmethod
    async def start(cls, url: str, creation_turn: CreationTurn) -> "_Process":
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "documents.chunks.storing_process", url),
            stdin=pipe,
            stdout=pipe,
            limit=_MAX_LINE_BYTES,
        )
        return cls(process, creation_turn)

    def send(self, command: dict[str, Any], data: bytes) -> "asyncio.Future[None]":
        """The outcome of the command."""
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        command_id = next(self._command_ids)
        outcome = self._running[command_id] = asyncio.get_running_loop().create_future()
        self._write({"id": command_id, **command}, data)
        return outcome

    async def end(self) -> None:
        """Wait for the commands that are running, then for the process, which is killed after a while."""
        self._close_input_soon()
        try:
            async with asyncio.timeout(_END_SECONDS):
                await asyncio.shield(self._reader)
                await self._process.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    def _close_input_soon(self) -> None:
        """The process ends once it has run what it was sent. It may still need answers for that."""
        self.is_ending = True
        if not self._running:
            self._input.close()

    @property
    def _input(self) -> asyncio.StreamWriter:
        assert self._process.stdin is not None  # noqa: S101  # a pipe
        return self._process.stdin

    def _write(self, message: dict[str, Any], data: bytes = b"") -> None:
        self._input.write(json.dumps(message).encode() + b"\n")
        self._input.write(data)

    async def _read(self) -> None:
        assert self._process.stdout is not None  # noqa: S101  # a pipe
        try:
            while line := await self._process.stdout.readline():
                await self._handle(json.loads(line))
        finally:
            self.is_ending = True
            for outcome in self._running.values():
                if not outcome.done():
                    outcome.set_exception(ChunksUnavailable("the process that stores chunks ended early"))
            self._running.clear()
            for turn_id in tuple(self._turns):
                await self._end_turn(turn_id)
            self._input.close()

    async def _handle(self, message: dict[str, Any]) -> None:
        if "turn" in message:
            is_granted = await self._begin_turn(message["turn"], message["turn_id"])
            self._write({"turn_id": message["turn_id"], "granted": is_granted})
        elif "turn_ended" in message:
            await self._end_turn(message["turn_ended"])
        else:
            self._finish(message)

    async def _begin_turn(self, table: str, turn_id: int) -> bool:
        """False if it is not granted now, for example because Redis is away. The process asks again."""
        turn = self._turns[turn_id] = AsyncExitStack()
        try:
            return await turn.enter_async_context(self._creation_turn(table))
        except Exception as error:  # noqa: BLE001  # other commands of the process must go on
            logger.warning("turn_not_taken error=%s", type(error).__name__)
            return False

    async def _end_turn(self, turn_id: int) -> None:
        """A turn that cannot be ended expires."""
        try:
            await self._turns.pop(turn_id).aclose()
        except Exception as error:  # noqa: BLE001  # as above
            logger.warning("turn_not_ended error=%s", type(error).__name__)

    def _finish(self, message: dict[str, Any]) -> None:
        outcome = self._running.pop(message["id"])
        error = message.get("error")
        if error is None:
            outcome.set_result(None)
        else:
            outcome.set_exception(_to_error(error["code"], error["message"]))
        if self.is_ending or message["memory_bytes"] > _MAX_MEMORY_BYTES:
            self._close_input_soon()
        elif not self._running:
            self._idle_timer = asyncio.get_running_loop().call_later(_IDLE_SECONDS, self._close_input_soon)


def _to_error(code: str, message: str) -> DocumentError:
    return _ERRORS.get(code, ChunksUnavailable)(message)
