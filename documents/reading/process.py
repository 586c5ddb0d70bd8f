"""The process that reads one document and exits. Its rights and resources are limited: a crash affects only itself.

    worker   ──(stdin: one JSON line)──>          the request
    worker   <──(stdout: one JSON line each)──    the guards in force, then pages with their chunk_spans, "ocr" before
                                                  the OCR of a page, "ended", or an error's code and message

All work that grows with the text, chunking included, is done here, so that the worker only forwards the result. The
process exits with its worker, when its standard input closes.
"""

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from documents.errors import DocumentError, ExpandedDocumentTooLarge
from documents.models import TextPage
from documents.page_breaks import broken_sentence
from documents.reading.chunking import ChunkSize, chunk_page
from documents.reading.office.reader import OFFICE_TYPES, read_office
from documents.reading.pdf import read_pdf
from documents.reading.pdf_ocr import Ocr, OcrLimits
from documents.reading.plain_text import read_text
from documents.reading.resource_limits import PACKAGES, limit_resources
from documents.reading.tesseract import data_folders
from guards.confinement import confine, limit_processes_and_files

# Sent to stop the whole process group; the worker decides when this process ends.
_IGNORED_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)


def main() -> None:
    for number in _IGNORED_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    request = json.loads(sys.stdin.readline())
    languages = data_folders() if request["ocr"] else []
    guards = confine([Path(request["path"]), *languages], PACKAGES)
    threading.Thread(target=_exit_with_worker, daemon=True).start()
    output = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # output that libraries print goes to standard error
    limit_resources(request["memory_bytes"], request["seconds"] + _ocr_seconds(request["ocr"]))
    guards += limit_processes_and_files()
    print(json.dumps({"guards": guards}), file=output)

    def send(message: dict[str, Any]) -> None:
        print(json.dumps(message), file=output)

    for message in _messages(request, send):
        send(message)


def _messages(request: dict[str, Any], send: Callable[[dict[str, Any]], None]) -> Iterator[dict[str, Any]]:
    size = ChunkSize(**request["size"])
    index, previous_text = 0, ""
    try:
        for page in _limit_chars(_pages(request, _ocr(request, send)), request["max_chars"]):
            chunks = list(chunk_page(page, size, index))
            index += len(chunks)
            halves, previous_text = broken_sentence(previous_text, page.text), page.text
            spans = [(chunk.start, chunk.end) for chunk in chunks]
            yield {"page": asdict(page), "chunk_spans": spans, "lead": halves[0] if halves else ""}
    except DocumentError as error:
        yield _error_message(error)
    except (MemoryError, RecursionError):
        yield _error_message(ExpandedDocumentTooLarge("reading the document takes more memory than allowed"))
    else:
        yield {"ended": True}


def _ocr_seconds(ocr: dict[str, Any] | None) -> float:
    return ocr["max_pages"] * ocr["page_seconds"] if ocr else 0.0


def _error_message(error: DocumentError) -> dict[str, Any]:
    return {"error": {"code": error.code, "message": error.message}}


def _ocr(request: dict[str, Any], send: Callable[[dict[str, Any]], None]) -> Ocr | None:
    if request["ocr"] is None:
        return None
    recognized = {int(number): text for number, text in request["recognized"].items()}
    return Ocr(OcrLimits(**request["ocr"]), recognized, lambda: send({"ocr": True}))


def _pages(request: dict[str, Any], ocr: Ocr | None) -> Iterator[TextPage]:
    path = Path(request["path"])
    if request["file_type"] == "pdf":
        return read_pdf(path, request["max_pages"], request["max_chars"], ocr)
    if request["file_type"] in OFFICE_TYPES:
        return read_office(path, request["file_type"], request["max_pages"], request["max_expanded_bytes"])
    return read_text(path, request["file_type"], request["charset"], request["max_pages"])


def _limit_chars(pages: Iterator[TextPage], max_chars: int) -> Iterator[TextPage]:
    chars_left = max_chars
    for page in pages:
        chars_left -= len(page.text)
        if chars_left < 0:
            raise ExpandedDocumentTooLarge(f"the document contains more than {max_chars} characters")
        yield page


def _exit_with_worker() -> None:
    while os.read(0, 1):  # not sys.stdin: a thread that holds its lock breaks the interpreter's shutdown
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
