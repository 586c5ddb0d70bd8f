"""A worker, its broker and Celery's own tools as separate processes: started, stopped, killed and restarted."""

import uuid

import pytest
from celery import Celery

from jobs import queries
from jobs.kinds.chat import ChatTask
from jobs.settings import Settings
from jobs.states import State
from jobs.storage.keys import DEFAULT_QUEUE
from jobs.storage.redis_client import connect
from jobs.storage.sync_store import Store
from tasks.queue_message import RUN_JOB
from tasks.submit import Submitter
from tests.celery.retry_tasks import FAILURES, succeeds_at_last
from tests.local_engine import wait_until

pytestmark = pytest.mark.processes
ANSWER_SECONDS = 10.0


class Client:
    """Submits jobs and reads them, as the web process does."""

    def __init__(self, settings):
        self.store = Store(connect(settings))
        self._submitter = Submitter(self.store, settings)

    def submit(self, message):
        return self._submitter.submit(ChatTask(kind="chat", message=message)).job_id

    def state(self, job_id):
        return self.store.run(queries.record(job_id)).state

    def reaches(self, job_id, state):
        return wait_until(lambda: self.state(job_id) == state, ANSWER_SECONDS)

    def ask(self, message):
        """The answer's text."""
        job_id = self.submit(message)
        assert self.reaches(job_id, State.COMPLETED)
        return self.text(job_id)

    def text(self, job_id):
        answer, _ = self.store.run(queries.outcome(job_id))
        return answer.text


@pytest.fixture
def redis_url(celery_setup):
    return celery_setup.broker.config()["host_url"]


@pytest.fixture
def client(redis_url):
    client = Client(Settings(REDIS_URL=redis_url, CELERY_BROKER_URL=None))
    yield client
    client.store.close()


@pytest.fixture
def inspect(celery_setup):
    """`celery inspect`, for one worker: it does not wait for further replies."""
    return celery_setup.app.control.inspect(timeout=5, limit=1)


def single_reply(replies):
    """The value of the single worker that replied."""
    [value] = replies.values()
    return value


def wait_for_exit(node):
    """Wait until the node's process has ended; returns its exit code."""
    assert wait_until(lambda: node.container.reload() or node.container.status == "exited", ANSWER_SECONDS)
    return node.container.attrs["State"]["ExitCode"]


def new_events(events, captured):
    """Each new event; raises socket.timeout when none arrives for a while."""
    event_count = len(events)
    for _ in captured:
        yield from events[event_count:]
        event_count = len(events)


def test_a_worker_without_flags_runs_the_asyncio_pool_and_answers_inspect(inspect):
    """`celery -A tasks worker` is enough; `celery inspect` shows the pool, the task and no running job."""
    pool = single_reply(inspect.stats())["pool"]
    assert pool["implementation"] == "tasks.celery_ext.asyncio_pool:TaskPool"
    assert pool["max-concurrency"] >= 100

    assert single_reply(inspect.ping()) == {"ok": "pong"}
    assert single_reply(inspect.active()) == []
    assert RUN_JOB in single_reply(inspect.registered())


def test_a_stock_celery_client_gets_the_answers_of_finished_and_running_jobs(client, redis_url):
    """`AsyncResult(job_id).get()` needs only the result backend's URL, and returns as soon as the job ends."""
    finished = client.submit('[[offline say="all done"]]')
    assert client.reaches(finished, State.COMPLETED)
    running = client.submit("[[offline delay=2]] hi")
    assert client.reaches(running, State.IN_PROGRESS)

    with Celery(backend=redis_url, set_as_current=False) as stock:
        assert stock.AsyncResult(finished).get(timeout=10)["text"] == "all done"
        assert client.state(running) == State.IN_PROGRESS
        assert stock.AsyncResult(running).get(timeout=10)["text"] == client.text(running)


@pytest.mark.parametrize("worker_arguments", [("-c", "1")], ids=["one-slot"])
def test_a_slot_is_free_as_soon_as_its_job_has_ended(client):
    """The asyncio pool acknowledges immediately: jobs that share a slot run back to back."""
    job_ids = [client.submit("hi") for _ in range(8)]

    assert wait_until(lambda: all(client.state(job_id) == State.COMPLETED for job_id in job_ids), 3)


def test_a_warm_shutdown_completes_the_running_job(celery_setup, client):
    """On SIGTERM the running job completes, its answer is stored, and the worker exits with 0."""
    job_id = client.submit('[[offline delay=1.5 say="completed"]]')
    assert client.reaches(job_id, State.IN_PROGRESS)

    celery_setup.worker.kill("SIGTERM")

    assert wait_for_exit(celery_setup.worker) == 0
    assert client.state(job_id) == State.COMPLETED
    assert client.text(job_id) == "completed"


def test_a_job_accepted_while_no_worker_runs_is_answered_by_the_next_worker(celery_setup, client):
    """Data left by a worker that was killed with SIGKILL must not block its successor."""
    celery_setup.worker.kill()
    job_id = client.submit('[[offline say="at last"]]')

    celery_setup.worker.restart()

    assert celery_setup.worker.ready()
    assert client.reaches(job_id, State.COMPLETED)
    assert client.text(job_id) == "at last"


@pytest.mark.parametrize("signal", ["SIGTERM", "SIGKILL"])
def test_a_worker_survives_a_restart_of_its_broker(celery_setup, client, signal):
    """The same worker process reconnects, completes its running job and takes new ones; no answer is lost."""
    before = client.submit('[[offline say="before"]]')
    assert client.reaches(before, State.COMPLETED)
    during = client.submit('[[offline delay=1 say="during"]]')
    assert client.reaches(during, State.IN_PROGRESS)
    pid = celery_setup.worker.container.attrs["State"]["Pid"]

    celery_setup.broker.kill(signal)
    wait_for_exit(celery_setup.broker)
    celery_setup.broker.restart()

    assert client.ask('[[offline say="after"]]') == "after"
    assert client.reaches(during, State.COMPLETED)
    assert client.text(during) == "during"
    assert client.text(before) == "before"
    assert celery_setup.worker.container.attrs["State"]["Pid"] == pid


@pytest.mark.parametrize(
    ("worker_arguments", "implementation"),
    [
        (("-P", "threads"), "celery.concurrency.thread:TaskPool"),
        (("-P", "prefork", "-c", "2"), "celery.concurrency.prefork:TaskPool"),
        (("-P", "solo"), "celery.concurrency.solo:TaskPool"),
    ],
    ids=["threads", "prefork", "solo"],
)
def test_celerys_own_pools_run_the_same_jobs(client, inspect, implementation):
    """`-P` changes how jobs run, not their outcome."""
    assert single_reply(inspect.stats())["pool"]["implementation"] == implementation

    assert client.ask('[[offline say="the same"]]') == "the same"


@pytest.mark.parametrize("worker_arguments", [("-I", "tests.celery.retry_tasks")], ids=["asyncio"])
def test_celerys_own_retry_works_on_our_pool(celery_setup):
    """A plain Celery task in the same worker may call self.retry."""
    result = celery_setup.app.send_task(succeeds_at_last.name, queue=DEFAULT_QUEUE)

    assert result.get(timeout=ANSWER_SECONDS) == FAILURES


def test_events_and_logs_name_a_job_but_contain_no_content(celery_setup, client):
    """The events that Flower uses carry the job's id; neither the events nor the log contain prompt, answer or key."""
    prompt, answer = (f"canary-{uuid.uuid4().hex}" for _ in range(2))
    events = []
    with celery_setup.app.connection() as connection:
        receiver = celery_setup.app.events.Receiver(connection, handlers={"*": events.append})
        captured = receiver.itercapture(limit=None, timeout=ANSWER_SECONDS, wakeup=True)
        assert any(event["type"] == "worker-heartbeat" for event in new_events(events, captured))
        job_id = client.submit(f'[[offline say="{answer}"]] {prompt}')
        assert any(event["type"] == "task-succeeded" for event in new_events(events, captured))

    job_events = [event["type"] for event in events if event.get("uuid") == job_id]
    assert job_events == ["task-received", "task-started", "task-succeeded"]
    assert client.text(job_id) == answer
    for secret in (prompt, answer, "sk-canary"):
        assert secret not in repr(events)
        assert secret not in celery_setup.worker.logs()
    assert job_id in celery_setup.worker.logs()
