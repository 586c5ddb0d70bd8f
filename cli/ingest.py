"""Uploads a document and waits until it is ready, with a progress bar on a terminal."""

import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final, cast

from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn

from cli.errors import CliError
from cli.output import printable
from cli.session import Session

_POLL_SECONDS: Final = 0.25

Document = dict[str, Any]


def add_document(session: Session, path: Path, *, waits: bool = True) -> Document:
    """Upload a file. Returns its document, which is ready unless `waits` is false. Raises CliError if it failed."""
    try:
        with path.open("rb") as file, _progress(session, "uploading", path.name, DownloadColumn()) as update:
            reader = _CountingReader(file, path.stat().st_size, update)
            document: Document = session.client.upload("/documents", path.name, cast("IO[bytes]", reader))["document"]
    except OSError as error:
        raise CliError(f"cannot read {path}: {error.strerror}") from None
    return _wait_until_ready(session, document) if waits else document


def _wait_until_ready(session: Session, document: Document) -> Document:
    document_id = document["document_id"]
    with _progress(session, "reading", document["filename"], MofNCompleteColumn()) as update:
        while document["status"] == "ingesting":
            update(document["pages_done"], document["pages"])
            time.sleep(_POLL_SECONDS)
            document = session.client.get(f"/documents/{document_id}")
    if document["status"] != "ready":
        error = document["error"] or {"message": "it was deleted", "code": "document_not_found"}
        raise CliError(f"{document['filename']} is {document['status']}: {error['message']} ({error['code']})")
    return document


class _CountingReader(io.RawIOBase):
    """A file that reports how much of it has been read."""

    def __init__(self, file: IO[bytes], size: int, update: Callable[[int, int | None], None]) -> None:
        self._file, self._size, self._update = file, size, update

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def fileno(self) -> int:
        return self._file.fileno()

    def read(self, size: int = -1) -> bytes:
        content = self._file.read(size)
        self._update(self._file.tell(), self._size)
        return content


@contextmanager
def _progress(
    session: Session, what: str, name: str, counts: ProgressColumn
) -> Iterator[Callable[[int, int | None], None]]:
    """A bar on standard error for the length of the block; nothing in a pipe. The value takes done and total."""
    console = session.output.errors
    columns = TextColumn("{task.description}", markup=False), BarColumn(), counts
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(printable(f"{what} {name}"), total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
