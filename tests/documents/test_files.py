"""Files: whole or not there, and nothing of a stranger's name in a path."""

import errno
import hashlib
import io
import os
import threading

import pytest

from documents.errors import ChunksUnavailable, DocumentTooLarge, EmptyDocument, FilesUnavailable, StorageFull
from documents.files import Files
from documents.identity import clean_filename
from documents.storage import translate_storage_errors
from jobs.document_id import is_document_id, new_document_id

DOCUMENT = "doc_" + "0" * 32


@pytest.fixture(params=["folder", "store"])
def files(request, tmp_path):
    """On disk, and through the interface of an object store."""
    url = f"file://{tmp_path}/store" if request.param == "store" else None
    return Files(url, tmp_path / "documents", is_document_id)


def everything(folder) -> list[str]:
    return [str(path) for path in folder.rglob("*") if path.is_file()]


def receive(files, data: bytes) -> None:
    with files.receive(io.BytesIO(data), max_bytes=1_000_000) as upload:
        files.save(upload, DOCUMENT)


def test_what_was_kept_is_read_back(files):
    data = os.urandom(600_000)
    with files.receive(io.BytesIO(data), max_bytes=1_000_000) as upload:
        assert (upload.size, upload.sha256) == (len(data), hashlib.sha256(data).hexdigest())
        assert upload.head == data[:1_024]
        files.save(upload, DOCUMENT)

    with files.local_copy(DOCUMENT) as path:
        assert path.read_bytes() == data


def test_the_head_is_as_long_whatever_comes_first(files):
    """A form's first block may hold a single byte of the file; the head tells its kind."""
    data = os.urandom(5_000)
    blocks = [data[:1], data[1:3], data[3:2_000], data[2_000:], b""]

    class Slow:
        def read(self, _size):
            return blocks.pop(0)

    with files.receive(Slow(), max_bytes=10_000) as upload:
        assert upload.head == data[:1_024]


def test_what_was_not_kept_leaves_nothing(files, tmp_path):
    with files.receive(io.BytesIO(b"data"), max_bytes=10):
        pass

    assert everything(tmp_path) == []


@pytest.mark.parametrize(("data", "error"), [(b"", EmptyDocument), (b"x" * 11, DocumentTooLarge)])
def test_what_is_refused_leaves_nothing(files, tmp_path, data, error):
    with pytest.raises(error), files.receive(io.BytesIO(data), max_bytes=10):
        pass

    assert everything(tmp_path) == []


def test_a_sender_that_breaks_off_leaves_nothing(files, tmp_path):
    class Broken:
        def read(self, _size):
            raise EOFError

    with pytest.raises(EOFError), files.receive(Broken(), max_bytes=10):
        pass

    assert everything(tmp_path) == []


@pytest.mark.parametrize(
    ("number", "error"), [(errno.ENOSPC, StorageFull), (errno.EROFS, StorageFull), (errno.EIO, FilesUnavailable)]
)
def test_a_disk_that_refuses_is_told_from_a_document_at_fault(files, tmp_path, monkeypatch, caplog, number, error):
    def refuse(*_):
        raise OSError(number, "refused")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(error):
        receive(files, b"data")

    assert everything(tmp_path) == []
    assert f"errno={errno.errorcode[number]}" in caplog.text


def test_what_cannot_be_removed_is_the_storages_fault(files, tmp_path):
    for folder in ("store", "documents"):
        (tmp_path / folder / "files" / DOCUMENT).mkdir(parents=True)

    with pytest.raises((StorageFull, FilesUnavailable)):
        files.remove(DOCUMENT)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("lance error: LanceError(IO): No space left on device (os error 28), /src/writer.rs:1", StorageFull),
        ("lance error: LanceError(IO): something else", ChunksUnavailable),
        ("a fault of ours", RuntimeError),
    ],
)
def test_lance_is_told_from_a_fault_of_ours_by_its_words(text, error, caplog):
    with pytest.raises(error), translate_storage_errors(ChunksUnavailable):
        raise RuntimeError(text)
    assert text not in caplog.text  # it may quote a row


def test_no_more_is_read_than_may_be_kept(files):
    """A sender without end is cut off after one block beyond the limit."""
    served = []

    class Endless:
        def read(self, size):
            served.append(size)
            return b"x" * size

    with pytest.raises(DocumentTooLarge), files.receive(Endless(), max_bytes=1_000_000):
        pass

    assert sum(served) <= 1_000_000 + 2 * served[0]


def test_the_same_document_twice_at_once_is_one_file(files, tmp_path):
    threads = [threading.Thread(target=receive, args=(files, b"x" * 500_000)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(everything(tmp_path)) == 1


def test_a_removed_document_is_gone_and_may_be_removed_again(files, tmp_path):
    receive(files, b"data")
    files.remove(DOCUMENT)
    files.remove(DOCUMENT)

    assert everything(tmp_path) == []
    with pytest.raises(FileNotFoundError), files.local_copy(DOCUMENT):
        pass


def test_a_store_that_cannot_be_used_is_told_from_a_file_that_is_gone(tmp_path):
    """The one is worth another attempt, the other is not."""
    (tmp_path / "store").write_text("no folder")
    with pytest.raises(FilesUnavailable):
        receive(Files(f"file://{tmp_path}/store", tmp_path / "documents", is_document_id), b"data")

    with (
        pytest.raises(FileNotFoundError),
        Files(f"file://{tmp_path}", tmp_path / "documents", is_document_id).local_copy(DOCUMENT),
    ):
        pass


@pytest.mark.parametrize("name", ["../../etc/passwd", "doc_" + "0" * 31, "doc_" + "0" * 32 + "\n", ""])
def test_only_a_documents_id_becomes_a_path(files, name):
    assert not is_document_id(name)
    with pytest.raises(ValueError, match="not a document's id"):
        files.remove(name)


def test_what_a_dead_process_left_behind_is_swept(files, tmp_path):
    """Only what is old: another process may be receiving."""
    incoming = tmp_path / "documents" / "incoming"
    incoming.mkdir(parents=True)
    (incoming / "old").write_bytes(b"x")
    (incoming / "new").write_bytes(b"x")
    os.utime(incoming / "old", (0, 0))

    assert files.sweep() == 1
    assert [path.name for path in incoming.iterdir()] == ["new"]


@pytest.mark.parametrize(
    ("sent", "shown"),
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
def test_a_name_is_shown_without_what_could_harm(sent, shown):
    assert clean_filename(sent) == shown


def test_no_two_documents_share_an_id():
    """What is left of a deleted document must never pass for its successor's."""
    first, second = new_document_id(), new_document_id()

    assert first != second
    assert is_document_id(first)
