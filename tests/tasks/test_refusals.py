""" "Not now" ends no worker: whatever Redis refuses for a while, the worker waits, and every job is completed once."""

import sys

import pytest
import redis

from jobs.settings import Settings
from jobs.states import State
from jobs.storage import keys
from jobs.storage.redis_client import connect
from jobs.storage.sync_store import Store
from tests.chaos.redis_server import RedisServer
from tests.support import refusals
from tests.support.offline_model import calls, directive, key
from tests.support.processes import running
from tests.support.waiting import until
from tests.tasks.conftest import SHORT, Client

pytestmark = [pytest.mark.slow, pytest.mark.processes]

SHORT_JOBS = 10
LINES_PER_MINUTE = 60  # more would be a flood; a connection that is refused and tried again logs about 30
LOST = "Trying to re-establish the connection"
REFUSED = "store_unavailable"
EVERY_POOL = {"asyncio": [], "threads": ["-P", "threads"], "prefork": ["-P", "prefork"]}
CASES = [  # every refusal on every pool: tests/chaos/refusal_faults.py
    ("asyncio", "NOREPLICAS", LOST),
    ("asyncio", "UNBLOCKED", LOST),
    ("asyncio", "MISCONF", LOST),
    ("asyncio", "WRONGPASS", LOST),
    ("asyncio", "BUSY", REFUSED),  # Redis delays its answer to a fetch until the script ends
    ("threads", "NOPERM", LOST),
    ("prefork", "NOREPLICAS", LOST),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server of these tests, which they may break."""
    server = RedisServer(tmp_path_factory.mktemp("refusing"), refusals.SERVER_OPTIONS)
    server.start()
    yield server
    server.end()


@pytest.fixture
def admin(server):
    with redis.Redis.from_url(server.url, socket_timeout=60) as admin:
        admin.flushall()
        refusals.create_user(admin)
        yield admin


@pytest.fixture
def client(server, admin):
    settings = Settings(REDIS_URL=server.url)
    store = Store(connect(settings))
    yield Client(store, settings)
    store.close()


@pytest.fixture
def start_worker(server, model_url):
    """Start a worker with these arguments."""

    def start(*arguments):
        url = refusals.worker_url(server.url)
        env = {"REDIS_URL": url, "OPENAI_BASE_URL": model_url, "OPENAI_API_KEY": "sk-t"}
        args = [sys.executable, "-m", "celery", "-A", "tasks", "worker", "--loglevel", "INFO", "-c", "4", *arguments]
        return running(args, ready=" ready.", env=env | SHORT)

    return start


@pytest.mark.parametrize(("pool", "word", "sign"), CASES)
def test_a_worker_waits_until_redis_serves_again_and_completes_every_job_once(
    start_worker, client, admin, model_url, pool, word, sign
):
    """One job runs while Redis refuses, ten wait when it serves again; one process completes all in one attempt."""
    with start_worker(*EVERY_POOL[pool]) as worker:
        names = [key() for _ in range(1 + SHORT_JOBS)]
        job_ids = [client.submit(directive("tokens=40 interval=0.1", names[0]))]
        until(lambda: client.streamed(job_ids[0]) > 2)
        with refusals.REFUSALS[word](admin):
            worker.wait_for(sign, 30)
        job_ids += [client.submit(directive("delay=0.5 say=short", name)) for name in names[1:]]
        records = [client.ended(job_id, 40) for job_id in job_ids]

        assert worker.returncode is None
        assert "Traceback" not in worker.output
        assert worker.output.count("WARNING") + worker.output.count("ERROR") < LINES_PER_MINUTE

    assert [(record.state, record.attempts) for record in records] == [(State.COMPLETED, 1)] * len(job_ids)
    assert [(record.failures, record.worker_losses) for record in records] == [(0, 0)] * len(job_ids)
    assert [calls(model_url, name)["calls"] for name in names] == [1] * len(names)
    assert admin.hgetall(keys.TOTALS) == {b"created": b"11", b"completed:chat": b"11"}


def test_a_refusal_that_lasts_is_logged_once(start_worker, admin):
    """The worker tries again every few seconds, perhaps for hours. Its return is logged too."""
    with start_worker() as worker:
        connections = admin.info("stats")["total_connections_received"]
        with refusals.missing_right(admin):
            worker.wait_for(LOST)
            until(lambda: admin.info("stats")["total_connections_received"] > connections + 20, 30)
            assert worker.output.count(LOST) == 1
            assert worker.output.count("Connected to") <= 3  # at the start, and at the first two tries
        worker.wait_for("broker_available")


def test_a_server_that_can_never_serve_ends_the_worker_with_an_error(tmp_path, model_url, processes):
    """On a server without BLMPOP, such as an old Redis, no wait helps: one clear line, and a non-zero exit code."""
    server = RedisServer(tmp_path, ("--rename-command", "BLMPOP", ""))
    server.start()
    env = {"REDIS_URL": server.url, "OPENAI_BASE_URL": model_url, "OPENAI_API_KEY": "sk-t"}
    args = [sys.executable, "-m", "celery", "-A", "tasks", "worker", "--loglevel", "INFO"]
    with running(args, ready="worker_cannot_take_jobs", env=env) as worker:
        assert worker.wait(15) == 1
        assert "reply=\"unknown command 'BLMPOP'\"" in worker.output
        assert "Traceback" not in worker.output
    server.end()


def test_a_worker_that_lacks_a_right_names_it_and_ends_before_it_takes_jobs(server, client, admin):
    """Managed servers refuse INFO. A worker without maintenance would look alive; one that ends with 0 stays down."""
    job_id = client.submit("hello")
    admin.execute_command("ACL", "SETUSER", refusals.WORKER, "-info", "resetchannels", "&cq:*", "&celery-task-meta-*")
    args = [sys.executable, "-m", "celery", "-A", "tasks", "worker", "--loglevel", "INFO"]
    with running(args, ready="rights_missing", env={"REDIS_URL": refusals.worker_url(server.url)}) as worker:
        assert worker.wait(15) == 1
        assert "the command info, the command publish on the channels /0.celery.pidbox" in worker.output
        assert "Traceback" not in worker.output

    assert client.record(job_id).attempts == 0


def test_a_worker_without_one_of_its_background_tasks_ends_with_an_error(tmp_path, model_url, processes):
    """A supervisor that restarts failed processes only must restart it."""
    server = RedisServer(tmp_path, ("--rename-command", "SUBSCRIBE", ""))
    server.start()
    env = {"REDIS_URL": server.url, "OPENAI_BASE_URL": model_url, "OPENAI_API_KEY": "sk-t"}
    args = [sys.executable, "-m", "celery", "-A", "tasks", "worker", "--loglevel", "INFO"]
    with running(args, ready="background_task_ended error=ResponseError", env=env) as worker:
        assert worker.wait(15) == 1
    server.end()
