"""File storage: files are complete or absent, and a client's file name is never part of a path."""

import errno
import hashlib
import io
import os
import threading

import pytest

from documents.display_name import clean_filename
from documents.errors import ChunksUnavailable, DocumentTooLarge, EmptyDocument, FilesUnavailable, StorageFull
from documents.files import Files
from documents.storage_errors import translate_storage_errors
from jobs.document_id import is_document_id, new_document_id

DOCUMENT = "doc_" + "0" * 32


@pytest.fixture(params=["folder", "store"])
def files(request, tmp_path):
    """File storage in a local folder, and through the object store interface."""
    url = f"file://{tmp_path}/store" if request.param == "store" else None
    return Files(url, tmp_path / "documents", is_document_id)


def all_files(folder) -> list[str]:
    return [str(path) for path in folder.rglob("*") if path.is_file()]


def save(files, data: bytes) -> None:
    with files.receive(io.BytesIO(data), max_bytes=1_000_000) as upload:
        files.save(upload, DOCUMENT)


def test_a_saved_file_is_read_back_unchanged(files):
    """Size and digest describe the received bytes, and the saved file has exactly these bytes."""
    data = os.urandom(600_000)
    with files.receive(io.BytesIO(data), max_bytes=1_000_000) as upload:
        assert (upload.size, upload.sha256) == (len(data), hashlib.sha256(data).hexdigest())
        files.save(upload, DOCUMENT)

    with files.local_copy(DOCUMENT) as path:
        assert path.read_bytes() == data


def test_a_file_is_complete_for_any_block_sizes(files):
    """A block of a form may contain a single byte of the file."""
    data = os.urandom(5_000)
    blocks = [data[:1], data[1:3], data[3:2_000], data[2_000:], b""]

    class SlowStream:
        def read(self, _size):
            return blocks.pop(0)

    with files.receive(SlowStream(), max_bytes=10_000) as upload:
        assert upload.path.read_bytes() == data


def test_an_upload_that_is_not_saved_leaves_no_file(files, tmp_path):
    """The temporary file is deleted when the block ends."""
    with files.receive(io.BytesIO(b"data"), max_bytes=10):
        pass

    assert all_files(tmp_path) == []


@pytest.mark.parametrize(("data", "error"), [(b"", EmptyDocument), (b"x" * 11, DocumentTooLarge)])
def test_a_rejected_upload_leaves_no_file(files, tmp_path, data, error):
    """An empty or too large upload does not fill the disk."""
    with pytest.raises(error), files.receive(io.BytesIO(data), max_bytes=10):
        pass

    assert all_files(tmp_path) == []


def test_an_aborted_upload_leaves_no_file(files, tmp_path):
    """An error of the stream passes through, and the temporary file is deleted."""

    class BrokenStream:
        def read(self, _size):
            raise EOFError

    with pytest.raises(EOFError), files.receive(BrokenStream(), max_bytes=10):
        pass

    assert all_files(tmp_path) == []


@pytest.mark.parametrize(
    ("number", "error"), [(errno.ENOSPC, StorageFull), (errno.EROFS, StorageFull), (errno.EIO, FilesUnavailable)]
)
def test_a_disk_error_is_reported_as_a_storage_error(files, tmp_path, monkeypatch, caplog, number, error):
    """A disk error must not be reported as the client's fault, and the log names the error number."""

    def refuse(*_):
        raise OSError(number, "refused")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(error):
        save(files, b"data")

    assert all_files(tmp_path) == []
    assert f"errno={errno.errorcode[number]}" in caplog.text


def test_a_failed_removal_is_a_storage_error(files, tmp_path):
    """A missing file is not an error, but a file that cannot be removed must be retried."""
    for folder in ("store", "documents"):
        (tmp_path / folder / "files" / DOCUMENT).mkdir(parents=True)

    with pytest.raises((StorageFull, FilesUnavailable)):
        files.remove(DOCUMENT)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("lance error: LanceError(IO): No space left on device (os error 28), /src/writer.rs:1", StorageFull),
        ("lance error: LanceError(IO): something else", ChunksUnavailable),
        ("a bug of ours", RuntimeError),
    ],
)
def test_errors_of_lance_are_recognized_by_their_text(text, error, caplog):
    """Lance raises plain RuntimeErrors; a bug of ours must not be hidden as a storage error."""
    with pytest.raises(error), translate_storage_errors(ChunksUnavailable):
        raise RuntimeError(text)
    assert text not in caplog.text  # it may quote a row


def test_an_endless_upload_is_aborted_at_the_limit(files):
    """At most one block beyond the limit is read."""
    block_sizes = []

    class EndlessStream:
        def read(self, size):
            block_sizes.append(size)
            return b"x" * size

    with pytest.raises(DocumentTooLarge), files.receive(EndlessStream(), max_bytes=1_000_000):
        pass

    assert sum(block_sizes) <= 1_000_000 + 2 * block_sizes[0]


def test_concurrent_saves_of_one_document_leave_one_file(files, tmp_path):
    """Neither a second file nor a temporary file remains."""
    threads = [threading.Thread(target=save, args=(files, b"x" * 500_000)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(all_files(tmp_path)) == 1


def test_a_document_can_be_removed_twice(files, tmp_path):
    """The second removal is not an error; reading the document then raises FileNotFoundError."""
    save(files, b"data")
    files.remove(DOCUMENT)
    files.remove(DOCUMENT)

    assert all_files(tmp_path) == []
    with pytest.raises(FileNotFoundError), files.local_copy(DOCUMENT):
        pass


def test_an_unusable_store_is_distinguished_from_a_missing_file(tmp_path):
    """Another attempt may help with the first, but not with the second."""
    (tmp_path / "store").write_text("not a folder")
    with pytest.raises(FilesUnavailable):
        save(Files(f"file://{tmp_path}/store", tmp_path / "documents", is_document_id), b"data")

    with (
        pytest.raises(FileNotFoundError),
        Files(f"file://{tmp_path}", tmp_path / "documents", is_document_id).local_copy(DOCUMENT),
    ):
        pass


@pytest.mark.parametrize("name", ["../../etc/passwd", "doc_" + "0" * 31, "doc_" + "0" * 32 + "\n", ""])
def test_only_a_document_id_becomes_a_path(files, name):
    """Any other text, such as one with path separators, is rejected."""
    assert not is_document_id(name)
    with pytest.raises(ValueError, match="not a document id"):
        files.remove(name)


def test_stale_incoming_files_are_swept(files, tmp_path):
    """Only old files are removed, because another process may be receiving a new one."""
    incoming = tmp_path / "documents" / "incoming"
    incoming.mkdir(parents=True)
    (incoming / "old").write_bytes(b"x")
    (incoming / "new").write_bytes(b"x")
    os.utime(incoming / "old", (0, 0))

    assert files.sweep() == 1
    assert [path.name for path in incoming.iterdir()] == ["new"]


@pytest.mark.parametrize(
    ("filename", "display_name"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\report.pdf", "report.pdf"),
        ("a\0b\r\nc\x1b[31m.pdf", "abc[31m.pdf"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("u\u0308ber.pdf", "über.pdf"),
        ("..", "document"),
        ("", "document"),
        ("x" * 500, "x" * 200),
    ],
)
def test_a_display_name_has_no_paths_controls_or_bidi_marks(filename, display_name):
    """The name is shown to users and given to models, so it must not deceive either."""
    assert clean_filename(filename) == display_name


def test_no_two_documents_share_an_id():
    """Leftover data of a deleted document must never belong to a new document."""
    first, second = new_document_id(), new_document_id()

    assert first != second
    assert is_document_id(first)
