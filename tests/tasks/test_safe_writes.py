"""A worker whose writes cannot be made as safe as its settings ask for takes no jobs, and says why."""

import sys

import pytest
import redis

from api import create_app
from api.services import services_of
from jobs import queue_stats
from jobs.settings import Settings
from jobs.states import State
from jobs.storage.redis_client import connect
from jobs.storage.sync_store import Store
from tests.support.offline_model import calls, directive, key
from tests.support.processes import free_port, running
from tests.support.redis_servers import valkey
from tests.support.waiting import until
from tests.tasks.conftest import SHORT, Client

pytestmark = [pytest.mark.slow, pytest.mark.processes]

POOLS = {"asyncio": [], "threads": ["-P", "threads"], "prefork": ["-P", "prefork"], "solo": ["-P", "solo"]}
SETTING = "CHATQUEUE_DURABILITY=disk"


@pytest.fixture
def server_url(tmp_path):
    """A server without an append-only file."""
    port = free_port()
    with running(valkey(tmp_path / "redis", "--port", str(port)), ready="Ready to accept connections"):
        yield f"redis://127.0.0.1:{port}/0"


@pytest.fixture
def admin(server_url):
    with redis.Redis.from_url(server_url) as admin:
        yield admin


@pytest.fixture
def client(server_url):
    """Submits jobs that need no disk."""
    settings = Settings(REDIS_URL=server_url)
    store = Store(connect(settings))
    yield Client(store, settings)
    store.close()


@pytest.fixture
def start_worker(server_url, model_url):
    def start(*arguments):
        env = {"REDIS_URL": server_url, "OPENAI_BASE_URL": model_url, "OPENAI_API_KEY": "sk-t", **SHORT}
        env |= {"CHATQUEUE_DURABILITY": "disk", "CHATQUEUE_LEASE_SECONDS": "3", "CHATQUEUE_HEARTBEAT_SECONDS": "0.5"}
        env["CHATQUEUE_REDIS_TIMEOUT_SECONDS"] = "2"
        args = [sys.executable, "-m", "celery", "-A", "tasks", "worker", "--loglevel", "INFO", "-c", "2", *arguments]
        return running(args, ready=" ready.", env=env)

    return start


@pytest.fixture
def takes_jobs(client):
    """Whether each worker reports that it takes jobs."""
    return lambda: [worker.takes_jobs for worker in queue_stats.stats(client.store, Settings()).workers]


@pytest.mark.parametrize("pool", POOLS)
def test_a_worker_claims_nothing_until_its_writes_can_be_safe(start_worker, client, admin, takes_jobs, pool):
    """The job waits without an attempt, however long, and runs once when the server can keep it."""
    job_ids = [client.submit("[[offline say=kept]]") for _ in range(3)]
    with start_worker(*POOLS[pool]) as worker:
        until(lambda: takes_jobs() == [False])
        assert SETTING in worker.wait_for("redis_config_unsafe")
        assert SETTING in worker.wait_for("takes_no_jobs")
        assert {client.record(job_id).version for job_id in job_ids} == {1}  # nothing has ever been written

        admin.config_set("appendonly", "yes")
        records = [client.ended(job_id) for job_id in job_ids]
        until(lambda: takes_jobs() == [True])
        assert "Traceback" not in worker.output

    assert {(record.state, record.attempts, record.worker_losses) for record in records} == {(State.COMPLETED, 1, 0)}


def test_a_job_that_ends_while_its_write_cannot_be_safe_is_not_lost(start_worker, client, admin, takes_jobs, model_url):
    """Its end waits, with its lease. The worker takes no further job meanwhile."""
    name = key()
    admin.config_set("appendonly", "yes")
    with start_worker():
        running_id = client.submit(directive("delay=1 say=first", name))
        until(lambda: calls(model_url, name)["calls"])  # so the claim has been safe
        admin.config_set("appendonly", "no")
        until(lambda: takes_jobs() == [False])
        waiting_id = client.submit("[[offline say=second]]")
        until(lambda: client.record(running_id).state is State.COMPLETED)
        assert client.record(waiting_id).version == 1

        admin.config_set("appendonly", "yes")
        assert client.ended(waiting_id).attempts == 1
        until(lambda: takes_jobs() == [True])


def test_the_web_process_names_the_setting(server_url):
    """A submit and the health report get a 503 that an operator can act on."""
    app = create_app(Settings(REDIS_URL=server_url, durability="disk"))
    for response in (
        app.test_client().post("/api/v1/chat/async", json={"message": "hello"}),
        app.test_client().get("/health"),
    ):
        assert response.status_code == 503
        assert SETTING in response.json["detail"]
    services_of(app).close()
