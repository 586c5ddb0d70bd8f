"""The quarantine: a job whose attempts ended with their worker runs alone, in a process of its own.

In a pool that shares one process, a job that kills it takes its neighbours along, and who did it cannot be told.
So from the second such death on, the provider's call is made in a child process for it alone. It stands where the
provider stands: the worker keeps the lease and writes the events, and only the call moves. If the child dies, this
job did it.

    worker   request, patience ──(stdin, one JSON line)──> child
    worker   <──(stdout, one JSON line each)── pieces, the answer, or the error

The child ends with its worker: when its standard input closes. A stop that reaches the whole process group or
cgroup (systemd, Ctrl-C) is the worker's to handle: the child does not heed it.
"""

import asyncio
import json
import os
import signal
import sys
import threading
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import asdict
from typing import Any, Final

from jobs import errors
from jobs.errors import AttemptCrashed, AttemptError, KillsItsWorker
from jobs.requests import PROVIDER_REQUEST, Conversation, EmbeddingsTask, ProviderRequest
from jobs.results import EmbeddingsAnswer, Usage
from jobs.settings import get_settings
from tasks.provider.client import Provider
from tasks.provider.errors import translated
from tasks.provider.formats.delta import Piece
from tasks.provider.timeouts import Patience

_LINE_LIMIT: Final = 256 * 1024 * 1024  # bytes; a line may hold the vectors of a whole request
_STOPS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)  # sent by who stops a group, not by a poison job
_TRANSLATED: Final = {
    kind.__name__: kind
    for kind in (
        errors.ProviderRetryable,
        errors.ProviderRejected,
        errors.ProviderBroken,
        errors.AttemptCrashed,
        errors.DeadlineExceeded,
    )
}


class Quarantine:
    """Answers as Provider does, and raises KillsItsWorker besides."""

    def __init__(self, places: int) -> None:
        self._places = asyncio.Semaphore(places)

    async def chat(self, request: Conversation, patience: Patience) -> AsyncGenerator[Piece, None]:
        async with self._place(patience) as left, _child(request, left) as lines:
            async for line in lines:
                usage = line.pop("usage")
                yield Piece(**line, usage=Usage(**usage) if usage else None)

    async def embed(self, request: EmbeddingsTask, patience: Patience) -> EmbeddingsAnswer:
        async with self._place(patience) as left, _child(request, left) as lines:
            return EmbeddingsAnswer.model_validate(await anext(lines))

    @asynccontextmanager
    async def _place(self, patience: Patience) -> AsyncIterator[Patience]:
        """Wait for a place, not beyond the job's deadline; answers the patience that is left."""
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        with translated(patience):
            async with asyncio.timeout(patience.total if patience.is_deadline else None):
                await self._places.acquire()
        try:
            yield patience.after(loop.time() - asked_at)
        finally:
            self._places.release()


@asynccontextmanager
async def _child(request: ProviderRequest, patience: Patience) -> AsyncIterator[AsyncGenerator[dict[str, Any], None]]:
    """The lines that a child process says; it is gone when the block ends."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tasks.provider.quarantine", stdin=pipe, stdout=pipe, limit=_LINE_LIMIT
    )
    try:
        async with aclosing(_converse(process, request, patience)) as lines:
            yield lines
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _converse(
    process: asyncio.subprocess.Process, request: ProviderRequest, patience: Patience
) -> AsyncGenerator[dict[str, Any], None]:
    assert process.stdin is not None  # noqa: S101  # both are pipes
    assert process.stdout is not None  # noqa: S101
    order = {"request": request.model_dump(mode="json"), "patience": asdict(patience)}
    process.stdin.write(json.dumps(order).encode() + b"\n")
    async for raw in process.stdout:
        line = json.loads(raw)
        if "ended" in line:
            return
        if "error" in line:
            raise _read_error(line["error"])
        yield line
    if -await process.wait() in _STOPS:  # while the child was starting
        raise AttemptCrashed("the process that ran the job alone was told to stop")
    raise KillsItsWorker("the job killed the process that ran it alone; it is not tried again")


def _read_error(said: dict[str, Any]) -> AttemptError:
    return _TRANSLATED[said.pop("kind")](**said)


def main() -> None:
    """The child: make the call that stands on standard input."""
    for number in _STOPS:
        signal.signal(number, signal.SIG_IGN)
    order = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_the_worker, daemon=True).start()
    say = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever prints, prints to standard error
    asyncio.run(
        _call(PROVIDER_REQUEST.validate_python(order["request"], strict=False), Patience(**order["patience"]), say)
    )


def _end_with_the_worker() -> None:
    """A call that a dead worker left behind would be made a second time elsewhere while it still runs."""
    while os.read(0, 1):  # not sys.stdin: a thread in its lock would break the interpreter's end
        pass
    os._exit(1)


async def _call(request: ProviderRequest, patience: Patience, say: Any) -> None:
    provider = Provider(get_settings())
    try:
        if isinstance(request, EmbeddingsTask):
            print((await provider.embed(request, patience)).model_dump_json(), file=say)
        else:
            async with aclosing(provider.chat(request, patience)) as pieces:
                async for piece in pieces:
                    print(json.dumps(_say(piece)), file=say)
    except AttemptError as error:
        said = {"kind": type(error).__name__, "message": error.message, "code": error.code}
        print(json.dumps({"error": said | {"retry_after_seconds": error.retry_after_seconds}}), file=say)
    else:
        print(json.dumps({"ended": True}), file=say)
    finally:
        await provider.close()


def _say(piece: Piece) -> dict[str, Any]:
    return {
        "text": piece.text,
        "finish_reason": piece.finish_reason,
        "model": piece.model,
        "usage": piece.usage.model_dump() if piece.usage else None,
        "data": piece.data,
        "delta": piece.delta,
        "body": piece.body,
    }


if __name__ == "__main__":
    main()
