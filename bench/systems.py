"""What is compared: how each system is started, given jobs, and known to have done them."""

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
    """A peer that `make bench` would have installed."""


@dataclass(frozen=True)
class System:
    """Command lines may name {port}, {in_flight} and {half} of it; the first word is a program of its environment.

    ``ready`` is printed by each of ``processes`` worker processes, ``web_ready`` by each web process.
    """

    name: str
    web: str
    workers: tuple[str, ...] = ()
    ready: str = ""
    processes: int = 1  # for each of the workers' commands
    web_ready: str = "Application startup complete."
    web_processes: int = 2
    result_key: Callable[[str], str] = "result:{}".format
    log_key: Callable[[str], str] | None = None
    submit_path: str = "/chat"
    show_path: str = "/chat/{}"
    id_name: str = "id"
    tasks: str = ""  # the module whose ``ask`` submits a job and waits for its answer
    package: str = ""
    home: str = ""  # a virtual environment of its own below the benchmark's
    at_once: int | None = None  # calls in flight that this form allows; None: as many as are asked for
    more_at_once: int = 1  # times as many calls in flight as the others
    env: Mapping[str, str] = field(default_factory=dict)
    prompt: str = "[[offline delay={delay} tokens={tokens}]] Hello"
    provider: tuple[str, ...] = ()  # further arguments of the provider

    def bin_folder(self) -> Path:
        """Where its programs are. Raises NotInstalled."""
        folder = Path(sys.prefix) / self.home / "bin"
        is_there = (folder / self.package).exists() if self.home else importlib.util.find_spec(self.package or "celery")
        if not is_there:
            raise NotInstalled(f"{self.package} is not installed; `make bench` installs it")
        return folder

    def message(self, seconds: float) -> str:
        """What makes the provider answer TOKENS tokens after that time, or spread over it."""
        return self.prompt.format(delay=seconds, gap=f"{seconds / (TOKENS - 1):.4f}", tokens=TOKENS)

    def slots(self, plan: Plan) -> int:
        return self.at_once or plan.in_flight * self.more_at_once

    def calls(self, plan: Plan) -> int:
        """A system with few slots gets as many calls as keep it busy for a while."""
        if self.at_once is None:
            return plan.calls * self.more_at_once
        return min(plan.calls, max(1, round(self.at_once * plan.slow_seconds)))


CHATQUEUE = System(
    name="chatqueue",
    web='gunicorn -c api/gunicorn_conf.py "api:create_app()"',
    workers=("celery -A tasks worker",),
    ready=" ready.",
    web_ready="Booting worker with pid",
    result_key=keys.result,
    log_key=keys.events,
    submit_path="/api/v1/chat/async",
    show_path="/api/v1/chat/jobs/{}",
    id_name="job_id",
    tasks="bench.ours",
    env={"CHATQUEUE_WORKER_CONCURRENCY": "{in_flight}"},
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
    replace(CHATQUEUE, name="chatqueue, twice as many in flight", more_at_once=2),
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
    at_once=1,
)
RQ_POOL = replace(
    RQ,
    name="FastAPI + RQ, pool of 32 that do not fork",
    workers=("rq worker-pool --url {redis} -n 32 -w rq.worker.SimpleWorker",),
    processes=32,
    at_once=32,
)
THREADS = System(
    name="FastAPI + asyncio.Queue + 3 threads",
    web=_UVICORN + "1 bench.peers.threads_web:app",
    web_processes=1,
    package="fastapi",
    at_once=3,
)
CELERY = System(
    name="Flask + Celery, prefork",
    web="gunicorn -w 2 --threads 8 -b 127.0.0.1:{port} bench.peers.celery_web:app",
    workers=("celery -A bench.peers.celery_tasks worker",),
    ready="[queues]",  # it says no more at its own log level
    web_ready="Booting worker with pid",
    result_key="celery-task-meta-{}".format,
    tasks="bench.peers.celery_tasks",
    at_once=2,
)
CELERY_THREADS = replace(
    CELERY,
    name="Flask + Celery, -P threads",
    workers=("celery -A bench.peers.celery_tasks worker -P threads -c {in_flight}",),
    at_once=None,
)
ARQ = System(
    name="FastAPI + arq",
    web=_UVICORN + "2 bench.peers.arq_web:app",
    workers=("arq bench.peers.arq_tasks.WorkerSettings",),
    ready="Starting worker for",
    result_key="arq:result:{}".format,
    tasks="bench.peers.arq_tasks",
    package="arq",
    home="arq",
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
