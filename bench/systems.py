"""The compared systems: how each is started, how it receives jobs, and where its results are."""

import hashlib
import importlib.util
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from bench.plan import Plan
from jobs.storage import keys

TOKENS: Final = 20


class NotInstalled(Exception):
    """A peer is missing; `make bench` installs it."""


@dataclass(frozen=True)
class System:
    """One system. Command lines may contain {port}, {redis}, {in_flight} and {half} (half of in_flight).

    The first word of a command line is a program of the system's environment. Each of the ``processes`` worker
    processes prints ``ready``, each web process prints ``web_ready``.
    """

    name: str
    web: str
    workers: tuple[str, ...] = ()
    ready: str = ""
    processes: int = 1  # worker processes per command
    web_ready: str = "Application startup complete."
    web_processes: int = 2
    result_key: Callable[[str], str] = "result:{}".format
    log_key: Callable[[str], str] | None = None
    submit_path: str = "/chat"
    status_path: str = "/chat/{}"
    id_field: str = "id"
    tasks: str = ""  # the module whose ``ask`` submits a job and waits for its answer
    package: str = ""
    venv: str = ""  # its own virtual environment, a folder in the benchmark's
    max_in_flight: int | None = None  # limit of concurrent calls; None: as many as the plan requests
    in_flight_factor: int = 1  # multiplies the concurrent calls of the plan
    env: Mapping[str, str] = field(default_factory=dict)
    prompt: str = "[[offline delay={delay} tokens={tokens}]] Hello"
    provider: tuple[str, ...] = ()  # additional arguments of the provider
    has_replica: bool = False  # of Redis

    def bin_folder(self) -> Path:
        """The folder of its programs. Raises NotInstalled."""
        folder = Path(sys.prefix) / self.venv / "bin"
        is_there = (folder / self.package).exists() if self.venv else importlib.util.find_spec(self.package or "celery")
        if not is_there:
            raise NotInstalled(f"{self.package} is not installed; `make bench` installs it")
        return folder

    def message(self, seconds: float) -> str:
        """A prompt that makes the provider answer TOKENS tokens after `seconds`, or spread over them."""
        return self.prompt.format(delay=seconds, gap=f"{seconds / (TOKENS - 1):.4f}", tokens=TOKENS)

    def slots(self, plan: Plan) -> int:
        """The number of concurrent calls."""
        return self.max_in_flight or plan.in_flight * self.in_flight_factor

    def calls(self, plan: Plan) -> int:
        """The number of calls to measure. A system with few slots gets fewer, enough to keep it busy for a while."""
        if self.max_in_flight is None:
            return plan.calls * self.in_flight_factor
        return min(plan.calls, max(1, round(self.max_in_flight * plan.slow_seconds)))


CHATQUEUE = System(
    name="chatqueue",
    web='gunicorn -c api/gunicorn_conf.py "api:create_app()"',
    workers=("celery -A tasks worker",),
    ready=" ready.",
    web_ready="Booting worker with pid",
    result_key=keys.result,
    log_key=keys.events,
    submit_path="/api/v1/chat/async",
    status_path="/api/v1/chat/jobs/{}",
    id_field="job_id",
    tasks="bench.chatqueue_client",
    env={"CHATQUEUE_WORKER_CONCURRENCY": "{in_flight}"},
)

DURABILITIES = tuple(
    replace(
        CHATQUEUE,
        name=f"chatqueue, {durability}",
        env={**CHATQUEUE.env, "CHATQUEUE_DURABILITY": durability},
        has_replica=True,
    )
    for durability in ("process", "replicas=1", "disk")
)

VARIANTS = (
    replace(
        CHATQUEUE,
        name="chatqueue, 2 processes",
        workers=("celery -A tasks worker -n one@%h", "celery -A tasks worker -n two@%h"),
        env={"CHATQUEUE_WORKER_CONCURRENCY": "{half}"},
    ),
    replace(
        CHATQUEUE,
        name="chatqueue, no task events",
        workers=("celery -A tasks worker -- worker.send_task_events=false",),
    ),
    replace(CHATQUEUE, name="chatqueue, twice as many in flight", in_flight_factor=2),
    replace(
        CHATQUEUE,
        name="chatqueue, tokens spread over the second",
        prompt="[[offline delay=0 tokens={tokens} interval={gap}]] Hello",
    ),
)

_UVICORN = "uvicorn --no-access-log --port {port} --workers "

RQ = System(
    name="FastAPI + RQ, `rq worker`",
    web=_UVICORN + "2 bench.peers.rq_web:app",
    workers=("rq worker --url {redis}",),
    ready="Listening on ",
    result_key="rq:results:{}".format,
    tasks="bench.peers.rq_tasks",
    package="rq",
    max_in_flight=1,
)
RQ_POOL = replace(
    RQ,
    name="FastAPI + RQ, pool of 32 that do not fork",
    workers=("rq worker-pool --url {redis} -n 32 -w rq.worker.SimpleWorker",),
    processes=32,
    max_in_flight=32,
)
THREADS = System(
    name="FastAPI + asyncio.Queue + 3 threads",
    web=_UVICORN + "1 bench.peers.threads_web:app",
    web_processes=1,
    package="fastapi",
    max_in_flight=3,
)
CELERY = System(
    name="Flask + Celery, prefork",
    web="gunicorn -w 2 --threads 8 -b 127.0.0.1:{port} bench.peers.celery_web:app",
    workers=("celery -A bench.peers.celery_tasks worker",),
    ready="[queues]",  # the last line it prints at its default log level
    web_ready="Booting worker with pid",
    result_key="celery-task-meta-{}".format,
    tasks="bench.peers.celery_tasks",
    max_in_flight=2,
)
CELERY_THREADS = replace(
    CELERY,
    name="Flask + Celery, -P threads",
    workers=("celery -A bench.peers.celery_tasks worker -P threads -c {in_flight}",),
    max_in_flight=None,
)
ARQ = System(
    name="FastAPI + arq",
    web=_UVICORN + "2 bench.peers.arq_web:app",
    workers=("arq bench.peers.arq_tasks.WorkerSettings",),
    ready="Starting worker for",
    result_key="arq:result:{}".format,
    tasks="bench.peers.arq_tasks",
    package="arq",
    venv="arq",
    env={"PEER_CONCURRENCY": "{in_flight}"},
)
TASKIQ = System(
    name="FastAPI + taskiq, 2 processes",
    web=_UVICORN + "2 bench.peers.taskiq_web:app",
    workers=("taskiq worker bench.peers.taskiq_tasks:broker --workers 2 --max-async-tasks {half}",),
    ready="Listening started",
    processes=2,
    result_key=str,
    tasks="bench.peers.taskiq_tasks",
    package="taskiq",
)


def _dramatiq_key(message_id: str) -> str:
    return hashlib.md5(f"dramatiq-results:default:answer:{message_id}".encode(), usedforsecurity=False).hexdigest()


DRAMATIQ = System(
    name="FastAPI + dramatiq, 2 processes",
    web=_UVICORN + "2 bench.peers.dramatiq_web:app",
    workers=("dramatiq bench.peers.dramatiq_tasks --processes 2 --threads {half}",),
    ready="Worker process is ready for action",
    processes=2,
    result_key=_dramatiq_key,
    tasks="bench.peers.dramatiq_tasks",
    package="dramatiq",
)

PEERS = (ARQ, TASKIQ, DRAMATIQ, CELERY_THREADS, CELERY, RQ_POOL, RQ, THREADS)
