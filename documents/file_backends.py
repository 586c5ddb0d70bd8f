"""Where files are kept: in a local folder, or in an object store. A file is complete or absent.

Blocking. Every error of a disk or store is an OSError.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol

from documents.errors import DocumentsNotInstalled
from guards.private_files import make_private_folder

_BLOCK_BYTES: Final = 256 * 1024


class Backend(Protocol):
    """The files of one folder, by name."""

    def put(self, path: Path, name: str) -> None:
        """Save the file at that path, atomically and durably. The path may be gone afterwards."""

    def local_path(self, name: str, folder: Path) -> AbstractContextManager[Path]:
        """A path that can be read within the block; a copy is made in the folder. Raises FileNotFoundError."""

    def open(self, name: str) -> AbstractContextManager[BinaryIO]:
        """The file, in which one can seek: only the parts that are read are fetched. Raises FileNotFoundError."""

    def remove(self, name: str) -> None:
        """Remove the file. A missing file is not an error."""


def open_backend(url: str | None, folder: Path, name: str) -> Backend:
    """The folder of that name at the URL, or in the local folder. Raises DocumentsNotInstalled."""
    if not url:
        return _LocalBackend(folder / name)
    try:
        from pyarrow.fs import FileSystem  # part of the extra; 40 MB that a local folder does not need
    except ImportError:
        raise DocumentsNotInstalled from None
    store, prefix = FileSystem.from_uri(url)
    return _ObjectStoreBackend(store, prefix, name)


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

    def open(self, name: str) -> BinaryIO:
        return (self._folder / name).open("rb")

    def remove(self, name: str) -> None:
        (self._folder / name).unlink(missing_ok=True)


class _ObjectStoreBackend:
    """An object store; it guarantees that an upload is complete or absent."""

    def __init__(self, store: Any, prefix: str, name: str) -> None:
        self._store = store
        self._prefix = f"{prefix.rstrip('/')}/{name}"

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

    def open(self, name: str) -> Any:
        return self._store.open_input_file(f"{self._prefix}/{name}")

    def remove(self, name: str) -> None:
        with suppress(FileNotFoundError):
            self._store.delete_file(f"{self._prefix}/{name}")


def _fsync_folder(folder: Path) -> None:
    """A renamed file is durable only after its folder is synced."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
