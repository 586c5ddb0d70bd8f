"""Shows pages of a PDF to people, for a web process: each view is made by a reading process of its own.

Blocking, and cooperative where gevent has patched the standard library.
"""

import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from documents.errors import READER_ERRORS_BY_CODE, ViewerBusy
from documents.models import OutlineEntry, PageBoxes, PageImage
from documents.reading.quote_location import significant_chars
from documents.reading.text_reader import ReadingLimits, exit_error, timed_out
from guards.confinement import minimal_environment

_MAX_SECONDS: Final = 20.0  # for one view; a page of a manual takes 0.2 s
_WAIT_SECONDS: Final = 10.0  # for other views to end
_READER: Final = (sys.executable, "-m", "documents.reading.process")


class PageViewer:
    """Makes at most ``max_processes`` views at a time. Others wait a while, then raise ViewerBusy.

    Its methods raise DocumentError: PageNotFound, ViewerBusy, and those of a file that cannot be read.
    """

    def __init__(self, max_processes: int, limits: ReadingLimits) -> None:
        self._slots = threading.BoundedSemaphore(max_processes)
        self._limits = limits

    def draw(self, path: Path, page: int, width: int) -> PageImage:
        """``width``: in pixels. A page that would have too many pixels is drawn smaller."""
        view = self._view(path, task="draw", page=page, width=width)
        return PageImage(view["width"], view["height"], base64.b64decode(view["png"]))

    def locate(self, path: Path, page: int, quote: str, text_before: str | None = None) -> PageBoxes:
        """``text_before``: the text of the page before the quote, which tells a sentence that occurs twice."""
        chars_before = None if text_before is None else len(significant_chars(text_before))
        view = self._view(path, task="locate", page=page, quote=quote, chars_before=chars_before)
        return PageBoxes(view["width"], view["height"], tuple(map(tuple, view["boxes"])))

    def outline(self, path: Path) -> list[OutlineEntry]:
        return [OutlineEntry(**entry) for entry in self._view(path, task="outline")]

    def _view(self, path: Path, **request: Any) -> Any:
        limits = self._limits
        seconds = min(limits.seconds, _MAX_SECONDS)
        request |= {"path": str(path), "max_chars": limits.max_chars}
        request |= {"memory_bytes": limits.memory_bytes, "seconds": seconds, "ocr": None}
        with self._slot(), _reader_process(seconds) as process:
            assert process.stdin is not None  # noqa: S101  # both are pipes
            assert process.stdout is not None  # noqa: S101
            with suppress(BrokenPipeError):  # it has died, and the end of its output tells why
                os.write(process.stdin.fileno(), json.dumps(request).encode() + b"\n")  # less than a pipe holds
            for line in process.stdout:
                message = json.loads(line)
                if "view" in message:
                    return message["view"]
                if "error" in message:
                    raise READER_ERRORS_BY_CODE[message["error"]["code"]](message["error"]["message"])
            raise exit_error(process.wait())

    @contextmanager
    def _slot(self) -> Iterator[None]:
        if not self._slots.acquire(timeout=_WAIT_SECONDS):
            raise ViewerBusy
        try:
            yield
        finally:
            self._slots.release()


@contextmanager
def _reader_process(seconds: float) -> Iterator["subprocess.Popen[bytes]"]:
    """The reading process, which is killed when the time is up or the block ends. Raises ReadingTimedOut."""
    process = subprocess.Popen(_READER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=minimal_environment())  # noqa: S603
    was_late = threading.Event()

    def stop() -> None:
        was_late.set()
        process.kill()

    timer = threading.Timer(seconds, stop)
    timer.start()
    try:
        with process:
            try:
                yield process
            finally:
                process.kill()
    except Exception:
        if was_late.is_set():
            raise timed_out() from None
        raise
    finally:
        timer.cancel()
