"""Uploads over real sockets: what breaks off, is malformed or too slow is refused, and leaves nothing."""

import json
import socket
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from tests.documents import in_process
from tests.documents.in_process import stored_files
from tests.waiting import until

HEAD = b"POST /api/v1/documents?filename=a.txt HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\n"
TEXT = b"The anchor weighs two tons.\n" * 1_000
PART = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
FORM = HEAD.replace(b"text/plain", b"multipart/form-data; boundary=b")
HALF = {
    "raw": HEAD + b"Content-Length: %d\r\n\r\n" % len(TEXT) + TEXT[: len(TEXT) // 2],
    "form": FORM + b"Content-Length: %d\r\n\r\n" % (len(TEXT) + 200) + PART + TEXT[: len(TEXT) // 2],
    "chunked": HEAD + b"Transfer-Encoding: chunked\r\n\r\n1000\r\n" + TEXT[:1_000],
}


@pytest.fixture
def send(library):
    """Bytes as they are; answers status and code, once the web has answered."""

    def call(sent, *, leave=True):
        with _connected(library) as connection:
            connection.sendall(sent)
            if leave:
                connection.shutdown(socket.SHUT_WR)
            return _read(connection)

    return call


def _connected(library):
    address = urlsplit(library.url)
    return closing(socket.create_connection((address.hostname, address.port), timeout=30))


def _read(connection):
    with connection.makefile("rb") as reply:
        return _answer(reply)


def _answer(reply):
    status = int(reply.readline().split()[1])
    length = 0
    while (line := reply.readline().strip().lower()) != b"":
        name, _, value = line.partition(b":")
        length = int(value) if name == b"content-length" else length
    return status, json.loads(reply.read(length))


@pytest.mark.parametrize("how", HALF)
def test_an_upload_that_breaks_off_is_no_document(send, library, folder, how):
    """However much had come: it would be asked as if it were whole."""
    status, problem = send(HALF[how])

    assert (status, problem["error"]["code"]) == (400, "malformed_upload")
    assert library.call("GET", "/documents")[1]["documents"] == []
    assert stored_files(folder) == []


@pytest.mark.parametrize("chunk", [b"zz\r\nhello\r\n0\r\n\r\n", b"5\r\nhello!!\r\n0\r\n\r\n", b"\r\n"])
def test_malformed_chunks_are_the_senders_fault(send, folder, chunk):
    status, problem = send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk, leave=False)

    assert (status, problem["error"]["code"]) == (400, "malformed_upload")
    assert stored_files(folder) == []


def test_an_upload_in_well_formed_chunks_is_accepted(send):
    chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(TEXT), TEXT)
    status, accepted = send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunks)

    assert (status, accepted["document"]["size"]) == (202, len(TEXT))


@pytest.mark.parametrize("how", HALF)
def test_an_upload_that_stalls_is_cut_off_when_its_time_is_up(env, how, folder):
    """Its sender is told, and what it had sent is gone."""
    with in_process.web(env | {"CHATQUEUE_DOCUMENT_UPLOAD_SECONDS": "1"}) as library:
        with _connected(library) as connection:
            connection.sendall(HALF[how])
            status, problem = _read(connection)
        until(lambda: stored_files(folder) == [])

    assert (status, problem["detail"]) == (400, "the upload took longer than 1 s")
