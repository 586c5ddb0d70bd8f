"""The quarantine: a job that repeatedly loses its worker runs alone, in a child process.

In a pool that shares one process, a job that kills the process takes the other jobs with it, and nothing shows which
job is to blame. So after ``quarantine_after_worker_losses`` losses, the job's call to the provider is made in a child
process of its own. Only the call moves: the worker keeps the lease and writes the events. If the child dies, the job
in it is to blame.

    worker   request, timeouts, target ──(stdin, one JSON line)──> child
    worker   <──(stdout, one JSON line each)── deltas, the answer, or the error

The child ends with its worker, when its standard input closes. It ignores a stop signal to the whole process group or
cgroup (systemd, Ctrl-C), which the worker handles.
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
from jobs.errors import AttemptCrashed, AttemptError, ProviderError, ProviderFault, WorkerLost
from jobs.kinds import JOB_REQUEST
from jobs.kinds.base import Conversation, JobRequest
from jobs.kinds.embeddings import EmbeddingsAnswer, EmbeddingsTask
from jobs.results import Usage
from jobs.settings import get_settings
from tasks.provider.errors import translate_errors
from tasks.provider.formats.delta import Delta
from tasks.provider.providers import Providers
from tasks.provider.timeouts import Timeouts

_LINE_LIMIT: Final = 256 * 1024 * 1024  # bytes; one line holds all vectors of a request
_STOP_SIGNALS: Final = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGQUIT,
)  # they stop a process group; no poison job causes them
_ERROR_CLASSES: Final = {
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
    """Has the ModelCalls of Providers. Each may also raise WorkerLost."""

    def __init__(self, processes: int) -> None:
        self._process_slots = asyncio.Semaphore(processes)

    async def chat(self, request: Conversation, timeouts: Timeouts, target: str = "") -> AsyncGenerator[Delta, None]:
        async with self._process_slot(timeouts) as remaining, _child(request, remaining, target) as lines:
            async for line in lines:
                usage = line.pop("usage")
                yield Delta(**line, usage=Usage(**usage) if usage else None)

    async def embed(self, request: EmbeddingsTask, timeouts: Timeouts, target: str = "") -> EmbeddingsAnswer:
        async with self._process_slot(timeouts) as remaining, _child(request, remaining, target) as lines:
            return EmbeddingsAnswer.model_validate(await anext(lines))

    @asynccontextmanager
    async def _process_slot(self, timeouts: Timeouts) -> AsyncIterator[Timeouts]:
        """Wait for a slot, at most until the job's deadline. Yields the timeouts that remain.

        Raises DeadlineExceeded.
        """
        loop = asyncio.get_running_loop()
        requested_at = loop.time()
        with translate_errors(timeouts):
            async with asyncio.timeout(timeouts.total if timeouts.is_deadline else None):
                await self._process_slots.acquire()
        try:
            yield timeouts.after(loop.time() - requested_at)
        finally:
            self._process_slots.release()


@asynccontextmanager
async def _child(
    request: JobRequest, timeouts: Timeouts, target: str
) -> AsyncIterator[AsyncGenerator[dict[str, Any], None]]:
    """Start a child process; yields the lines it writes. The child has ended when the block ends."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tasks.provider.quarantine", stdin=pipe, stdout=pipe, limit=_LINE_LIMIT
    )
    try:
        job_input = {"request": request.model_dump(mode="json"), "timeouts": asdict(timeouts), "target": target}
        async with aclosing(_exchange_lines(process, job_input)) as lines:
            yield lines
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _exchange_lines(
    process: asyncio.subprocess.Process, job_input: dict[str, Any]
) -> AsyncGenerator[dict[str, Any], None]:
    assert process.stdin is not None  # noqa: S101  # both are pipes
    assert process.stdout is not None  # noqa: S101
    process.stdin.write(json.dumps(job_input).encode() + b"\n")
    async for raw in process.stdout:
        line = json.loads(raw)
        if "ended" in line:
            return
        if "error" in line:
            raise _parse_error(line["error"])
        yield line
    if -await process.wait() in _STOP_SIGNALS:  # while the child was starting
        raise AttemptCrashed("the job's quarantine process was stopped")
    raise WorkerLost("the job killed its quarantine process; it is not retried")


def _parse_error(error_fields: dict[str, Any]) -> AttemptError:
    kind, fault = _ERROR_CLASSES[error_fields.pop("kind")], error_fields.pop("fault")
    provider_error = error_fields.pop("provider_error")
    return kind(
        **error_fields,
        fault=ProviderFault(fault) if fault else None,
        provider_error=ProviderError(**provider_error) if provider_error else None,
    )


def main() -> None:
    """The child process: make the call described on standard input."""
    for number in _STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    job_input = json.loads(sys.stdin.readline())
    threading.Thread(target=_exit_with_worker, daemon=True).start()
    output = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # stray prints must not mix with the lines for the worker
    asyncio.run(
        _call(
            JOB_REQUEST.validate_python(job_input["request"], strict=False),
            Timeouts(**job_input["timeouts"]),
            job_input["target"],
            output,
        )
    )


def _exit_with_worker() -> None:
    """End the process when the worker is gone: another worker makes the call again, and two must not run."""
    while os.read(0, 1):  # not sys.stdin: a thread that holds its lock breaks the interpreter's shutdown
        pass
    os._exit(1)


async def _call(request: JobRequest, timeouts: Timeouts, target: str, output: Any) -> None:
    provider = Providers(get_settings())
    try:
        if isinstance(request, EmbeddingsTask):
            print((await provider.embed(request, timeouts, target)).model_dump_json(), file=output)
        elif isinstance(request, Conversation):
            async with aclosing(provider.chat(request, timeouts, target)) as deltas:
                async for delta in deltas:
                    print(json.dumps(_as_line(delta)), file=output)
    except AttemptError as error:
        error_fields: dict[str, Any] = {"kind": type(error).__name__, "message": error.message, "code": error.code}
        error_fields |= {"retry_after_seconds": error.retry_after_seconds, "fault": error.fault}
        error_fields["provider_error"] = asdict(error.provider_error) if error.provider_error else None
        print(json.dumps({"error": error_fields}), file=output)
    else:
        print(json.dumps({"ended": True}), file=output)
    finally:
        await provider.close()


def _as_line(delta: Delta) -> dict[str, Any]:
    return {
        "text": delta.text,
        "finish_reason": delta.finish_reason,
        "model": delta.model,
        "usage": delta.usage.model_dump() if delta.usage else None,
        "data": delta.data,
        "data_delta": delta.data_delta,
        "body": delta.body,
    }


if __name__ == "__main__":
    main()
