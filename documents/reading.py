"""Reading: a file's pages, as they come, out of a process that is bounded in time and memory.

A parser that crashes, hangs or swells on a hostile file costs that file only. The pattern is the quarantine's: a
child process, JSON lines over pipes; the child is gone when the reading ends, in whichever way.
"""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from documents.chunking import ChunkSize
from documents.errors import SAID_BY_READER, DamagedDocument, DocumentError, ReadingInterrupted, TakesTooLong
from documents.models import Chunk, Kind, Page

_LINE_LIMIT: Final = 256 * 1024 * 1024  # bytes; a text without form feeds is one page, and so one line
_ENDING_SECONDS: Final = 5  # for an interpreter to end in
_SENT_FROM_OUTSIDE: Final = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class ReadingLimits:
    max_pages: int
    max_chars: int  # of all pages together
    memory_bytes: int  # address space of the reading process, interpreter included
    seconds: float  # that the process may take over the whole document


@dataclass(frozen=True, slots=True)
class ReadPage:
    """A page and its chunks; their indexes run on through the document."""

    page: Page
    chunks: tuple[Chunk, ...]


class Reader:
    """Reads at most so many documents at a time; a further one waits for its turn."""

    def __init__(self, places: int, limits: ReadingLimits, size: ChunkSize) -> None:
        self._places = asyncio.Semaphore(places)
        self._limits = limits
        self._size = size

    async def read(self, path: Path, kind: Kind) -> AsyncGenerator[ReadPage, None]:
        """The pages in order. Raises an UnreadableDocument, at the first page or later: pages before it are void."""
        order = {"path": str(path), "kind": kind, "size": asdict(self._size), **asdict(self._limits)}
        async with self._places, _child() as process, aclosing(_lines(process, order, self._limits.seconds)) as lines:
            index = 0
            async for line in lines:
                page = Page(**line["page"])
                chunks = _chunks(page, line["cuts"], index)
                index += len(chunks)
                yield ReadPage(page, chunks)


def _chunks(page: Page, cuts: list[tuple[int, int]], index: int) -> tuple[Chunk, ...]:
    return tuple(
        Chunk(number, page.number, start, end, page.text[start:end]) for number, (start, end) in enumerate(cuts, index)
    )


@asynccontextmanager
async def _child() -> AsyncIterator[asyncio.subprocess.Process]:
    """It is gone when the block ends."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "documents.reading_process", stdin=pipe, stdout=pipe, limit=_LINE_LIMIT
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _lines(
    process: asyncio.subprocess.Process, order: dict[str, Any], seconds: float
) -> AsyncGenerator[dict[str, Any], None]:
    """What the child says of the pages. `seconds` is for the child: what the caller does with a page is not counted."""
    assert process.stdin is not None  # noqa: S101  # both are pipes
    assert process.stdout is not None  # noqa: S101
    process.stdin.write(json.dumps(order).encode() + b"\n")
    clock = asyncio.get_running_loop().time
    while True:
        asked_at = clock()
        raw = await _one_line(process.stdout, seconds)
        seconds -= clock() - asked_at
        if not raw:
            raise _cause_of_death(await process.wait())
        line = json.loads(raw)
        if "page" not in line:
            await _let_it_end(process)
            if "error" in line:
                raise SAID_BY_READER[line["error"]["code"]](line["error"]["message"])
            return
        yield line


async def _let_it_end(process: asyncio.subprocess.Process) -> None:
    """It has said its last word. To kill what has just died by itself makes asyncio complain of an unknown child."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_ENDING_SECONDS):
            await process.wait()


async def _one_line(stdout: asyncio.StreamReader, seconds: float) -> bytes:
    try:
        async with asyncio.timeout(seconds):
            return await stdout.readline()
    except TimeoutError:
        raise TakesTooLong("the document was not read in the time that a document may take") from None


def _cause_of_death(returncode: int) -> DocumentError:
    """A crash is the document's doing; what came from outside, or is a fault of ours, is worth another attempt."""
    if returncode == -signal.SIGXCPU:
        return TakesTooLong("the document was not read in the time that a document may take")
    if returncode >= 0 or -returncode in _SENT_FROM_OUTSIDE:
        return ReadingInterrupted("the process that read the document ended early")
    return DamagedDocument("the document breaks the reader: it is damaged, or takes more memory than it may")
