"""Stores the uploaded files: each is streamed to disk first, then saved under its document's id beside the chunks.

    <data folder>/documents/incoming/   uploads in progress; those of dead processes are swept
    <url or data folder>/files/         one file per document, and the texts of its pages that went through OCR

The name that a client gives a file is never part of a path.
"""

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol

from documents.errors import DocumentsNotInstalled, DocumentTooLarge, EmptyDocument, FilesUnavailable
from documents.storage_errors import translate_storage_errors
from guards.private_files import make_private_folder

_BLOCK_BYTES: Final = 256 * 1024
_STALE_SECONDS: Final = 3_600  # since the last block of an upload


class Stream(Protocol):
    """Must not raise OSError for its own errors: every OSError counts as a storage error."""

    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class StoredUpload:
    """A file that has been received completely and is not saved yet."""

    path: Path
    size: int
    sha256: str


class Files:
    """Blocking: coroutines must call it in a thread. Raises StorageFull and FilesUnavailable."""

    def __init__(self, url: str | None, folder: Path, is_document_id: Callable[[str], bool]) -> None:
        self._is_document_id = is_document_id
        self._incoming = folder / "incoming"
        self._backend = _open_object_store(url) if url else _LocalBackend(folder / "files")

    @contextmanager
    def receive(self, stream: Stream, max_bytes: int) -> Iterator[StoredUpload]:
        """Write the stream to a temporary file, which is deleted when the block ends unless it was saved.

        Raises EmptyDocument or DocumentTooLarge. Reads at most one block beyond the limit.
        """
        with translate_storage_errors(FilesUnavailable):
            make_private_folder(self._incoming)
            handle, name = tempfile.mkstemp(dir=self._incoming)
        path = Path(name)
        try:
            with translate_storage_errors(FilesUnavailable), os.fdopen(handle, "wb") as file:
                size, sha256 = _copy(stream, file, max_bytes)
            yield StoredUpload(path, size, sha256)
        finally:
            path.unlink(missing_ok=True)

    def save(self, upload: StoredUpload, document_id: str) -> None:
        """Save atomically and durably. Saving the same document twice concurrently leaves one file."""
        with translate_storage_errors(FilesUnavailable):
            self._backend.put(upload.path, self._validated_id(document_id))

    @contextmanager
    def local_copy(self, document_id: str) -> Iterator[Path]:
        """A path that can be read within the block. Raises FileNotFoundError if the document was removed."""
        with (
            translate_storage_errors(FilesUnavailable),
            self._backend.local_path(self._validated_id(document_id), self._incoming) as path,
        ):
            yield path

    def open(self, document_id: str) -> BinaryIO:
        """The file; it stays readable if it is removed now. Raises FileNotFoundError if it was removed before."""
        with self.local_copy(document_id) as path:
            return path.open("rb")

    def remove(self, document_id: str) -> None:
        """Remove the file and the recognized texts. Missing ones are not an error."""
        with translate_storage_errors(FilesUnavailable):
            self._backend.remove(self._validated_id(document_id))
            self._backend.remove(self._texts_name(document_id))

    def save_recognized(self, document_id: str, languages: str, texts: Mapping[int, str]) -> None:
        """Replace the texts of the pages that went through OCR, atomically. An interrupted ingest goes on with them."""
        with translate_storage_errors(FilesUnavailable):
            make_private_folder(self._incoming)
            with tempfile.NamedTemporaryFile("w", dir=self._incoming, delete=False) as file:
                json.dump({"languages": languages, "texts": texts}, file)
            path = Path(file.name)
            try:
                self._backend.put(path, self._texts_name(document_id))
            finally:
                path.unlink(missing_ok=True)

    def recognized(self, document_id: str, languages: str) -> dict[int, str]:
        """The texts of pages that went through OCR in these languages; none if there are none, or unreadable ones."""
        with translate_storage_errors(FilesUnavailable):
            try:
                with self._backend.local_path(self._texts_name(document_id), self._incoming) as path:
                    stored = json.loads(path.read_bytes())
            except (FileNotFoundError, ValueError):
                return {}
        if stored.get("languages") != languages:
            return {}
        return {int(number): text for number, text in stored["texts"].items()}

    def _texts_name(self, document_id: str) -> str:
        return f"{self._validated_id(document_id)}.ocr"

    def _validated_id(self, document_id: str) -> str:
        """The id, if it is one. Only a document's id may become part of a path. Raises ValueError."""
        if not self._is_document_id(document_id):
            raise ValueError("not a document id")
        return document_id

    def sweep(self) -> int:
        """Remove the incoming files of dead processes. Returns their number."""
        stale = [path for path in self._incoming.glob("*") if _age_seconds(path) > _STALE_SECONDS]
        for path in stale:
            path.unlink(missing_ok=True)
        return len(stale)


class _LocalBackend:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, path: Path, name: str) -> None:
        make_private_folder(self._folder)
        path.replace(self._folder / name)
        _fsync_folder(self._folder)

    @contextmanager
    def local_path(self, name: str, _: Path) -> Iterator[Path]:
        path = self._folder / name
        path.stat()
        yield path

    def remove(self, name: str) -> None:
        (self._folder / name).unlink(missing_ok=True)


class _ObjectStoreBackend:
    """An object store; it guarantees that an upload is complete or absent."""

    def __init__(self, store: Any, prefix: str) -> None:
        self._store = store
        self._prefix = f"{prefix.rstrip('/')}/files"

    def put(self, path: Path, name: str) -> None:
        with path.open("rb") as source:
            self._store.create_dir(self._prefix, recursive=True)  # a no-op where folders are only prefixes
            with self._store.open_output_stream(f"{self._prefix}/{name}") as target:
                shutil.copyfileobj(source, target, _BLOCK_BYTES)

    @contextmanager
    def local_path(self, name: str, folder: Path) -> Iterator[Path]:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder) as target:
            with self._store.open_input_stream(f"{self._prefix}/{name}") as source:
                shutil.copyfileobj(source, target, _BLOCK_BYTES)
            target.flush()
            yield Path(target.name)

    def remove(self, name: str) -> None:
        with suppress(FileNotFoundError):
            self._store.delete_file(f"{self._prefix}/{name}")


def _open_object_store(url: str) -> _ObjectStoreBackend:
    try:
        from pyarrow.fs import FileSystem  # part of the extra; 40 MB that a local folder does not need
    except ImportError:
        raise DocumentsNotInstalled from None
    return _ObjectStoreBackend(*FileSystem.from_uri(url))


def _copy(stream: Stream, file: Any, max_bytes: int) -> tuple[int, str]:
    size, digest = 0, hashlib.sha256()
    while block := stream.read(_BLOCK_BYTES):
        size += len(block)
        if size > max_bytes:
            raise DocumentTooLarge(f"the file is larger than {max_bytes} bytes")
        digest.update(block)
        file.write(block)
    if not size:
        raise EmptyDocument("the file is empty")
    file.flush()
    os.fsync(file.fileno())
    return size, digest.hexdigest()


def _age_seconds(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:  # the upload has ended in the meantime
        return 0


def _fsync_folder(folder: Path) -> None:
    """A renamed file is durable only after its folder is synced."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
