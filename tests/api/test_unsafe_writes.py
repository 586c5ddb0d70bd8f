"""An answer that rests on an earlier write is given only when that write is safe."""

import pytest

from api import create_app
from api.services import services_of
from jobs.settings import Settings
from tests.support.processes import free_port, running
from tests.support.redis_servers import valkey

TASK = f"/api/v1/tasks/job_{'0' * 32}"
RESPONSE = f"/v1/responses/resp_{'0' * 32}"
CHANGES = [
    ("DELETE", TASK),
    ("POST", f"{TASK}/cancel"),
    ("POST", f"{TASK}/retry"),
    ("DELETE", RESPONSE),
    ("POST", f"{RESPONSE}/cancel"),
    ("DELETE", f"/api/v1/documents/doc_{'0' * 32}"),
]


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """An app that promises the disk, over a server without an append-only file: no write is safe."""
    port = free_port()
    with running(valkey(tmp_path_factory.mktemp("redis"), "--port", str(port)), ready="Ready to accept connections"):
        app = create_app(Settings(REDIS_URL=f"redis://127.0.0.1:{port}/0", durability="disk"))
        yield app.test_client()
        services_of(app).close()


@pytest.mark.parametrize(("method", "path"), CHANGES)
def test_a_repeated_change_of_what_is_gone_confirms_the_deletion(client, method, path):
    """The first call was answered 503, and a failover may bring the job back. A 404 would promise that it stays."""
    assert client.open(path, method=method).status_code == 503


@pytest.mark.parametrize("path", [TASK, RESPONSE])
def test_a_read_promises_nothing(client, path):
    """It shows what Redis contains now, also while no write can be safe."""
    assert client.get(path).status_code == 404
