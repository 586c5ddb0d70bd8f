"""Reads the pages of a file incrementally, in a child process whose time and memory are limited.

A parser that crashes, hangs or exhausts memory on a hostile file affects only that file. As in the quarantine, parent
and child exchange JSON lines over pipes, and the child is gone when the reading ends for any reason. A parser that is
taken over has neither the worker's environment nor its rights (guards/confinement.py).

Logs:
    document_reader_confined  guards: those in force on this system; once per process
"""

import asyncio
import json
import logging
import signal
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from documents.errors import READER_ERRORS_BY_CODE, DamagedDocument, DocumentError, ReadingInterrupted, ReadingTimedOut
from documents.models import Chunk, FileType, TextPage
from documents.reading.chunking import ChunkSize
from documents.reading.pdf_ocr import OcrLimits
from guards.confinement import minimal_environment

logger = logging.getLogger(__name__)

_MAX_LINE_BYTES: Final = 256 * 1024 * 1024  # a text without form feeds is one page and thus one line
_EXIT_SECONDS: Final = 5  # for the interpreter to shut down
_EXTERNAL_SIGNALS: Final = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class ReadingLimits:
    max_pages: int
    max_chars: int  # of all pages together
    max_expanded_bytes: int  # of the parts of an Office document, once they are decompressed
    memory_bytes: int  # address space of the reading process, including the interpreter
    seconds: float  # for the whole document, without the OCR of its pages
    ocr: OcrLimits | None = None  # None: no OCR


@dataclass(frozen=True, slots=True)
class ChunkedPage:
    """A page and its chunks. Chunk indexes continue through the document."""

    page: TextPage
    chunks: tuple[Chunk, ...]


class TextReader:
    """Reads at most `max_processes` documents at a time; others wait."""

    def __init__(self, max_processes: int, limits: ReadingLimits, size: ChunkSize) -> None:
        self._slots = asyncio.Semaphore(max_processes)
        self._limits = limits
        self._size = size

    async def read(
        self,
        path: Path,
        file_type: FileType,
        charset: str | None = None,
        recognized: Mapping[int, str] | None = None,
    ) -> AsyncGenerator[ChunkedPage, None]:
        """The pages in order. Raises DocumentError, possibly after some pages, which are then invalid.

        ``recognized``: the texts that an earlier reading got by OCR, by page. These pages need no OCR again.
        """
        file = {"path": str(path), "file_type": file_type, "charset": charset, "recognized": dict(recognized or {})}
        request = file | {"size": asdict(self._size), **asdict(self._limits)}
        async with (
            self._slots,
            _reader_process() as process,
            aclosing(_read_messages(process, request, self._limits)) as messages,
        ):
            index = 0
            async for message in messages:
                page = TextPage(**message["page"])
                chunks = _to_chunks(page, message["chunk_spans"], index, message["lead"])
                index += len(chunks)
                yield ChunkedPage(page, chunks)


def _to_chunks(page: TextPage, chunk_spans: list[tuple[int, int]], index: int, lead: str) -> tuple[Chunk, ...]:
    return tuple(
        Chunk(number, page.number, start, end, page.text[start:end], lead if number == index else "")
        for number, (start, end) in enumerate(chunk_spans, index)
    )


@asynccontextmanager
async def _reader_process() -> AsyncIterator[asyncio.subprocess.Process]:
    """The reading process, which is killed when the block ends."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "documents.reading.process"),
        stdin=pipe,
        stdout=pipe,
        limit=_MAX_LINE_BYTES,
        env=minimal_environment(),
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _read_messages(
    process: asyncio.subprocess.Process, request: dict[str, Any], limits: ReadingLimits
) -> AsyncGenerator[dict[str, Any], None]:
    """The child's messages, one per page. Its time is limited; the caller's work on a page is not counted.

    Each page that the child recognizes by OCR adds the time for one page, at most for as many as are allowed.
    """
    assert process.stdin is not None  # noqa: S101  # both are pipes
    assert process.stdout is not None  # noqa: S101
    process.stdin.write(json.dumps(request).encode() + b"\n")
    clock = asyncio.get_running_loop().time
    seconds, ocr_pages = limits.seconds, limits.ocr.max_pages if limits.ocr else 0
    while True:
        started_at = clock()
        line = await _read_line(process.stdout, seconds)
        seconds -= clock() - started_at
        if not line:
            raise _exit_error(await process.wait())
        message = json.loads(line)
        if "guards" in message:
            _log_guards(tuple(message["guards"]))
            continue
        if "ocr" in message:
            if limits.ocr and ocr_pages > 0:
                seconds += limits.ocr.page_seconds
                ocr_pages -= 1
            continue
        if "page" not in message:
            await _wait_for_exit(process)
            if "error" in message:
                raise READER_ERRORS_BY_CODE[message["error"]["code"]](message["error"]["message"])
            return
        yield message


@cache  # once per worker process
def _log_guards(guards: tuple[str, ...]) -> None:
    logger.info("document_reader_confined guards=%s", ",".join(guards) or "none")


async def _wait_for_exit(process: asyncio.subprocess.Process) -> None:
    """Wait after the last message. Killing a process that has just exited makes asyncio warn of an unknown child."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_EXIT_SECONDS):
            await process.wait()


async def _read_line(stdout: asyncio.StreamReader, seconds: float) -> bytes:
    try:
        async with asyncio.timeout(seconds):
            return await stdout.readline()
    except TimeoutError:
        raise _timed_out() from None


def _timed_out() -> ReadingTimedOut:
    return ReadingTimedOut("reading the document takes longer than allowed")


def _exit_error(returncode: int) -> DocumentError:
    """A crash is caused by the document. A signal from outside, or a bug of ours, justifies another attempt."""
    if returncode == -signal.SIGXCPU:
        return _timed_out()
    if returncode >= 0 or -returncode in _EXTERNAL_SIGNALS:
        return ReadingInterrupted("the process that read the document ended early")
    return DamagedDocument("the document crashes the reader: it is damaged, or takes more memory than allowed")
