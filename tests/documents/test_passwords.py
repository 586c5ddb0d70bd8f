"""Passwords of PDFs: used once, when the file is uploaded, and kept nowhere."""

import urllib.parse
from dataclasses import replace
from pathlib import Path

import pypdfium2
import pytest

from documents.errors import DamagedDocument, ReadingTimedOut, WrongPassword
from documents.reading.unlocking import UnlockLimits, remove_password
from tests.documents import in_process
from tests.documents.factories import make_pdf
from tests.documents.in_process import stored_files

LOCKED = (Path(__file__).parent / "samples" / "locked-aes.pdf").read_bytes()
PASSWORD = "Käse 9"
LIMITS = UnlockLimits(memory_bytes=1024**3, seconds=30, max_bytes=1_000_000)


@pytest.fixture
def save(tmp_path):
    def write(data: bytes) -> Path:
        path = tmp_path / "file"
        path.write_bytes(data)
        return path

    return write


@pytest.mark.parametrize("name", ["locked-aes.pdf", "locked-rc4.pdf"])
def test_a_file_is_kept_without_its_password(save, name):
    """Retries, page images and a new embedding read the file again, and must not need the password."""
    path = save((Path(__file__).parent / "samples" / name).read_bytes())
    remove_password(path, PASSWORD, LIMITS)

    assert pypdfium2.PdfDocument(path)[0].get_textpage().get_text_bounded() == "The lighthouse was built in 1847."
    assert [file.name for file in path.parent.iterdir()] == ["file"]


@pytest.mark.parametrize("data", [make_pdf(["words"]), b"%PDF-1.4 damaged"], ids=["open", "damaged"])
def test_a_password_that_nothing_needs_changes_nothing(save, data):
    """What else is wrong with a file is reported by its ingest."""
    path = save(data)
    remove_password(path, PASSWORD, LIMITS)

    assert path.read_bytes() == data


@pytest.mark.parametrize(
    ("limits", "password", "error"),
    [
        ({}, "Kase 9", WrongPassword),
        ({}, "", WrongPassword),
        ({"max_bytes": 500}, PASSWORD, DamagedDocument),
        ({"seconds": 0.001}, PASSWORD, ReadingTimedOut),
    ],
)
def test_a_file_that_is_not_unlocked_stays_as_it_was(save, limits, password, error):
    """A cut copy would be ingested as if it were the document."""
    path = save(LOCKED)
    with pytest.raises(error):
        remove_password(path, password, replace(LIMITS, **limits))

    assert path.read_bytes() == LOCKED
    assert [file.name for file in path.parent.iterdir()] == ["file"]


def test_a_locked_document_is_ready_once_its_password_is_given(env, documents_client, folder, redis_client):
    """Each fault has its own code, the same document becomes ready, and the password is stored nowhere."""
    refused = documents_client.upload(LOCKED, fields={"password": "wrong"})
    files_after_refusal = stored_files(folder)
    with in_process.worker(env):
        _, accepted = documents_client.upload(LOCKED)
        document_id = accepted["document"]["document_id"]
        locked = documents_client.wait_until_ingested(document_id)
        documents_client.upload(LOCKED, fields={"password": PASSWORD})
        unlocked = documents_client.wait_until_ingested(document_id)
        raw = documents_client.call(
            "POST", "/documents", LOCKED + b"\n", Content_Type="application/pdf", X_Document_Password=PASSWORD
        )
        _, answer = documents_client.ask("When was the lighthouse built?", [document_id])

    assert (refused[0], refused[1]["error"]["code"], refused[1]["error"]["param"]) == (
        422,
        "wrong_password",
        "password",
    )
    assert files_after_refusal == []
    assert (locked["status"], locked["error"]["code"]) == ("failed", "encrypted_document")
    assert unlocked["status"] == "ready"
    assert raw[0] == 202
    assert answer["citations"][0]["quote"] == "The lighthouse was built in 1847."
    secrets = (PASSWORD.encode(), urllib.parse.quote(PASSWORD).encode(), b"K\\u00e4se 9")
    stored = b"".join(redis_client.dump(key) or b"" for key in redis_client.scan_iter())
    assert not any(secret in stored for secret in secrets)
    texts = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    assert not any(secret in text for text in texts for secret in secrets)
