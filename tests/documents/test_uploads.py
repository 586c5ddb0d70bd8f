"""Uploads over real sockets: incomplete, malformed and slow ones are rejected and leave no file."""

import json
import socket
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from tests.documents import in_process
from tests.documents.in_process import stored_files
from tests.support.waiting import until

HEAD = b"POST /api/v1/documents?filename=a.txt HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain\r\n"
TEXT = b"The anchor weighs two tons.\n" * 1_000
PART = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
FORM = HEAD.replace(b"text/plain", b"multipart/form-data; boundary=b")
INCOMPLETE = {
    "raw": HEAD + b"Content-Length: %d\r\n\r\n" % len(TEXT) + TEXT[: len(TEXT) // 2],
    "form": FORM + b"Content-Length: %d\r\n\r\n" % (len(TEXT) + 200) + PART + TEXT[: len(TEXT) // 2],
    "chunked": HEAD + b"Transfer-Encoding: chunked\r\n\r\n1000\r\n" + TEXT[:1_000],
}


@pytest.fixture
def send(documents_client):
    """Sends raw bytes and returns status and body. `close_after` closes the sending side afterwards."""

    def call(request, *, close_after=True):
        with _connected(documents_client) as connection:
            connection.sendall(request)
            if close_after:
                connection.shutdown(socket.SHUT_WR)
            return _read(connection)

    return call


def _connected(documents_client):
    address = urlsplit(documents_client.url)
    return closing(socket.create_connection((address.hostname, address.port), timeout=30))


def _read(connection):
    with connection.makefile("rb") as response:
        return _parse(response)


def _parse(response):
    status = int(response.readline().split()[1])
    length = 0
    while (line := response.readline().strip().lower()) != b"":
        name, _, value = line.partition(b":")
        length = int(value) if name == b"content-length" else length
    return status, json.loads(response.read(length))


@pytest.mark.parametrize("form", INCOMPLETE)
def test_an_incomplete_upload_creates_no_document(send, documents_client, folder, form):
    """An incomplete file would be searched as if it were complete, so it is rejected however much has arrived."""
    status, problem = send(INCOMPLETE[form])

    assert (status, problem["error"]["code"]) == (400, "malformed_upload")
    assert documents_client.call("GET", "/documents")[1]["documents"] == []
    assert stored_files(folder) == []


@pytest.mark.parametrize("chunk", [b"zz\r\nhello\r\n0\r\n\r\n", b"5\r\nhello!!\r\n0\r\n\r\n", b"\r\n"])
def test_malformed_chunked_encoding_is_a_client_error(send, folder, chunk):
    """The response is 400, not a server error, and no file remains."""
    status, problem = send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk, close_after=False)

    assert (status, problem["error"]["code"]) == (400, "malformed_upload")
    assert stored_files(folder) == []


def test_an_upload_with_chunked_encoding_is_accepted(send):
    """A client may stream a body whose length it does not know."""
    chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(TEXT), TEXT)
    status, accepted = send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunks)

    assert (status, accepted["document"]["size"]) == (202, len(TEXT))


@pytest.mark.parametrize("form", INCOMPLETE)
def test_a_stalled_upload_is_rejected_at_its_time_limit(env, form, folder):
    """The client gets an error, and the received part is deleted."""
    with in_process.web(env | {"CHATQUEUE_DOCUMENT_UPLOAD_SECONDS": "1"}) as documents_client:
        with _connected(documents_client) as connection:
            connection.sendall(INCOMPLETE[form])
            status, problem = _read(connection)
        until(lambda: stored_files(folder) == [])

    assert (status, problem["detail"]) == (400, "the upload took longer than 1 s")
