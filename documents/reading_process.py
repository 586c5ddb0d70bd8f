"""The process that reads one document and ends: what it may use is bounded, and what it breaks is itself.

    worker   the order ──(stdin, one JSON line)──> this process
    worker   <──(stdout, one JSON line each)── pages with their cuts, "ended", or the error's code and message

Everything that grows with the text is done here, cutting included, so that the worker only passes it on. The process
ends with its worker: when its standard input closes.
"""

import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from documents.chunking import ChunkSize, cut_page
from documents.errors import DocumentError, ExpandsTooMuch
from documents.models import Page
from documents.pdf import read_pdf
from documents.plain_text import read_text

_STOPS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)  # a stop that reaches the group is the worker's business
_NICE: Final = 10  # whoever waits for an answer comes before whoever waits for an ingest


def main() -> None:
    for number in _STOPS:
        signal.signal(number, signal.SIG_IGN)
    order = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_the_worker, daemon=True).start()
    say = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever prints, prints to standard error
    _bound(order["memory_bytes"], order["seconds"])
    for line in _lines(order):
        print(json.dumps(line), file=say)


def _lines(order: dict[str, Any]) -> Iterator[dict[str, Any]]:
    size = ChunkSize(**order["size"])
    index = 0
    try:
        for page in _within(_pages(order), order["max_chars"]):
            chunks = list(cut_page(page, size, index))
            index += len(chunks)
            yield {"page": asdict(page), "cuts": [(chunk.start, chunk.end) for chunk in chunks]}
    except DocumentError as error:
        yield _said(error)
    except (MemoryError, RecursionError):
        yield _said(ExpandsTooMuch("the document takes more memory to read than a document may"))
    else:
        yield {"ended": True}


def _said(error: DocumentError) -> dict[str, Any]:
    return {"error": {"code": error.code, "message": error.message}}


def _pages(order: dict[str, Any]) -> Iterator[Page]:
    path = Path(order["path"])
    if order["kind"] == "pdf":
        return read_pdf(path, order["max_pages"], order["max_chars"])
    return read_text(path, order["max_pages"])


def _within(pages: Iterator[Page], max_chars: int) -> Iterator[Page]:
    left = max_chars
    for page in pages:
        left -= len(page.text)
        if left < 0:
            raise ExpandsTooMuch(f"the document holds more than {max_chars} characters")
        yield page


def _bound(memory_bytes: int, seconds: float) -> None:
    """Where the system has limits. The worker's own clock stands above these: they hold when it is dead."""
    os.nice(_NICE)
    try:
        import resource
    except ImportError:  # no POSIX
        return
    for limit, value in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CPU, int(seconds) + 1),
        (resource.RLIMIT_FSIZE, 0),  # it reads; it has nothing to write
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(limit)[1]
        allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
        try:
            resource.setrlimit(limit, (allowed, allowed))
        except (ValueError, OSError):  # macOS refuses RLIMIT_AS
            continue


def _end_with_the_worker() -> None:
    while os.read(0, 1):  # not sys.stdin: a thread in its lock would break the interpreter's end
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
