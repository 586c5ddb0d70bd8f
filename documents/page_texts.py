"""Keeps the text of each page, as it was ingested: offsets of chunks and citations refer to it.

    <url or data folder>/pages/   one ZIP archive per document, with an entry per page

A page is read without the rest of its document. The text is stored rather than read again from the file: another
version of the reader would give a text with other offsets.
"""

import io
import os
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from documents.errors import FilesUnavailable
from documents.file_backends import open_backend
from documents.storage_errors import translate_storage_errors
from guards.private_files import make_private_folder


class PageArchive:
    """The texts of one document, compressed in memory until they are saved."""

    def __init__(self) -> None:
        self._data = io.BytesIO()
        self._archive = zipfile.ZipFile(self._data, "w", zipfile.ZIP_DEFLATED)

    def add(self, number: int, text: str) -> None:
        self._archive.writestr(str(number), text)

    def finish(self) -> bytes:
        """The whole archive. Nothing can be added afterwards."""
        self._archive.close()
        return self._data.getvalue()


class PageTexts:
    """Blocking: coroutines must call it in a thread. Raises StorageFull and FilesUnavailable."""

    def __init__(self, url: str | None, folder: Path, is_document_id: Callable[[str], bool]) -> None:
        self._is_document_id = is_document_id
        self._incoming = folder / "incoming"
        self._backend = open_backend(url, folder, "pages")

    def save(self, document_id: str, archive: bytes) -> None:
        """Replace the document's texts atomically and durably."""
        name = self._validated_id(document_id)
        with translate_storage_errors(FilesUnavailable):
            make_private_folder(self._incoming)
            with tempfile.NamedTemporaryFile(dir=self._incoming, delete=False) as file:
                path = Path(file.name)
                file.write(archive)
                file.flush()
                os.fsync(file.fileno())
            try:
                self._backend.put(path, name)
            finally:
                path.unlink(missing_ok=True)

    def read(self, document_id: str, number: int) -> str:
        """The text of one page. Raises FileNotFoundError if the document has no such page, or no texts."""
        name = self._validated_id(document_id)
        try:
            with (
                translate_storage_errors(FilesUnavailable),
                self._backend.open(name) as file,
                zipfile.ZipFile(file) as archive,
            ):
                return archive.read(str(number)).decode()
        except KeyError:
            raise FileNotFoundError(number) from None
        except zipfile.BadZipFile:
            raise FilesUnavailable("the stored text of the document is damaged; upload the document again") from None

    def remove(self, document_id: str) -> None:
        """Remove the document's texts. Missing ones are not an error."""
        with translate_storage_errors(FilesUnavailable):
            self._backend.remove(self._validated_id(document_id))

    def _validated_id(self, document_id: str) -> str:
        """Only a document's id may become part of a path. Raises ValueError."""
        if not self._is_document_id(document_id):
            raise ValueError("not a document id")
        return document_id
