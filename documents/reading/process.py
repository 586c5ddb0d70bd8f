"""The process that reads one document and ends: what it may use is bounded, and what it breaks is itself.

    worker   the order ──(stdin, one JSON line)──> this process
    worker   <──(stdout, one JSON line each)── pages with their chunk_spans, "ended", or the error's code and message

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

from documents.errors import DocumentError, ExpandsTooMuch
from documents.models import TextPage
from documents.reading.chunking import ChunkSize, chunk_page
from documents.reading.pdf import read_pdf
from documents.reading.plain_text import read_text

_IGNORED_SIGNALS: Final = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
)  # a stop that reaches the group is the worker's business
_NICE: Final = 10  # whoever waits for an answer comes before whoever waits for an ingest


def main() -> None:
    for number in _IGNORED_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    request = json.loads(sys.stdin.readline())
    threading.Thread(target=_exit_with_worker, daemon=True).start()
    output = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever prints, prints to standard error
    _limit_resources(request["memory_bytes"], request["seconds"])
    for message in _messages(request):
        print(json.dumps(message), file=output)


def _messages(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    size = ChunkSize(**request["size"])
    index = 0
    try:
        for page in _limit_chars(_pages(request), request["max_chars"]):
            chunks = list(chunk_page(page, size, index))
            index += len(chunks)
            yield {"page": asdict(page), "chunk_spans": [(chunk.start, chunk.end) for chunk in chunks]}
    except DocumentError as error:
        yield _error_message(error)
    except (MemoryError, RecursionError):
        yield _error_message(ExpandsTooMuch("the document takes more memory to read than a document may"))
    else:
        yield {"ended": True}


def _error_message(error: DocumentError) -> dict[str, Any]:
    return {"error": {"code": error.code, "message": error.message}}


def _pages(request: dict[str, Any]) -> Iterator[TextPage]:
    path = Path(request["path"])
    if request["file_type"] == "pdf":
        return read_pdf(path, request["max_pages"], request["max_chars"])
    return read_text(path, request["max_pages"])


def _limit_chars(pages: Iterator[TextPage], max_chars: int) -> Iterator[TextPage]:
    chars_left = max_chars
    for page in pages:
        chars_left -= len(page.text)
        if chars_left < 0:
            raise ExpandsTooMuch(f"the document holds more than {max_chars} characters")
        yield page


def _limit_resources(memory_bytes: int, seconds: float) -> None:
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


def _exit_with_worker() -> None:
    while os.read(0, 1):  # not sys.stdin: a thread in its lock would break the interpreter's end
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
