"""Real processes for documents: gunicorn, worker and offline model on the suite's Redis, with a folder per test."""

import json
import sys
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.processes import Process, free_port, running
from tests.support.waiting import until


class DocumentsClient:
    """A client of the HTTP API."""

    def __init__(self, url: str) -> None:
        self.url = f"{url}/api/v1"

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        all_headers = {"Content-Type": "application/json"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        request = urllib.request.Request(self.url + path, data, all_headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=70) as response:
                return response.status, _read(response.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _read(error.read())

    def upload(
        self, content: bytes, filename: str = "a.pdf", field: str = "file", fields: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        body, content_type = form(content, filename, field, fields)
        return self.call("POST", "/documents", body, Content_Type=content_type)

    def upload_and_ingest(self, content: bytes, filename: str = "a.pdf", seconds: float = 60.0) -> str:
        """Upload, wait until the document is ready, and return its id."""
        status, accepted = self.upload(content, filename)
        assert status in (200, 202), accepted
        document_id = str(accepted["document"]["document_id"])
        document = self.wait_until_ingested(document_id, seconds)
        assert document["status"] == "ready", document
        return document_id

    def wait_until_ingested(self, document_id: str, seconds: float = 60.0) -> dict[str, Any]:
        until(lambda: self.document(document_id)["status"] != "ingesting", seconds)
        return self.document(document_id)

    def document(self, document_id: str) -> dict[str, Any]:
        status, document = self.call("GET", f"/documents/{document_id}")
        assert status == 200, document
        return document

    def ask(self, message: str, documents: Any = "all", **fields: Any) -> tuple[int, Any]:
        return self.call("POST", "/chat/sync", {"message": message, "documents": documents, **fields})

    def stream(self, question: dict[str, Any]) -> list[dict[str, Any]]:
        """All events of a streamed chat."""
        body = json.dumps(question | {"stream": True}).encode()
        request = urllib.request.Request(self.url + "/chat/async", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=70) as response:
            lines = response.read().decode().splitlines()
        return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]


def form(
    content: bytes, filename: str, field: str = "file", fields: Mapping[str, str] | None = None
) -> tuple[bytes, str]:
    """The body and content type of a form with one file, and other fields after it."""
    boundary = uuid.uuid4().hex
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"; filename="{filename}"\r\n\r\n'
    rest = "".join(
        f'\r\n--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}'
        for name, value in (fields or {}).items()
    )
    end = f"{rest}\r\n--{boundary}--\r\n"
    return head.encode() + content + end.encode(), f"multipart/form-data; boundary={boundary}"


def stored_files(folder: Path) -> list[str]:
    """The names of all stored files, including partly received ones."""
    return sorted(path.name for name in ("files", "incoming") for path in (folder / "documents" / name).glob("*"))


def environment(redis_url: str, model_url: str, folder: Path) -> dict[str, str]:
    """The environment of `make up`: no key and no base URL, so the offline model is recognized as such."""
    return {
        "REDIS_URL": redis_url,
        "OPENAI_BASE_URL": "",
        "OPENAI_API_KEY": "",
        "CHATQUEUE_OFFLINE_MODEL_PORT": model_url.rpartition(":")[2].partition("/")[0],
        "CHATQUEUE_DATA_DIR": str(folder),
        "CHATQUEUE_BACKOFF_BASE_SECONDS": "0.1",
        "CHATQUEUE_LEASE_SECONDS": "3",
        "CHATQUEUE_HEARTBEAT_SECONDS": "0.5",
        "CHATQUEUE_WEB_WORKERS": "1",
    }


@contextmanager
def web(env: dict[str, str]) -> Iterator[DocumentsClient]:
    port = free_port()
    args = [sys.executable, "-m", "gunicorn", "-c", "api/gunicorn_conf.py", "api:create_app()"]
    with running(args, ready="Booting worker", env=env | {"CHATQUEUE_WEB_PORT": str(port)}):
        documents_client = DocumentsClient(f"http://127.0.0.1:{port}")
        until(lambda: _answers(documents_client))
        yield documents_client


@contextmanager
def worker(env: dict[str, str], *options: str) -> Iterator[Process]:
    with running(
        [sys.executable, "-m", "celery", "-A", "tasks", "worker", *options], ready=" ready.", env=env
    ) as process:
        yield process


def _answers(documents_client: DocumentsClient) -> bool:
    try:
        return documents_client.call("GET", "/queue/stats")[0] == 200
    except OSError:
        return False


def _read(data: bytes) -> Any:
    return json.loads(data) if data else None
