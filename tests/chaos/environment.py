"""The environment of one row: its own Redis, model, workers and client, and the observations of the row."""

import random
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Self, TypeVar

from jobs import queries
from jobs.models import JobRecord
from tests.chaos.calls import Calls, Resumption
from tests.chaos.jobs_sent import AcceptedJob, Client
from tests.chaos.plan import Plan
from tests.chaos.proxy import Proxy
from tests.chaos.redis_server import RedisServer
from tests.chaos.worker_fleet import Worker, WorkerFleet
from tests.support.processes import PROJECT_ROOT, Process, running

T = TypeVar("T")
FAULT_FOLDER = PROJECT_ROOT / "tests" / "chaos" / "faults"


class Environment:
    """``recovery_seconds``: time of each recovery; ``failures``: unmet expectations; ``notes``: other observations."""

    def __init__(self, plan: Plan, model_url: str, seed: int) -> None:
        self.plan = plan
        self.random = random.Random(seed)
        self.model_url = model_url
        self.recovery_seconds: list[float] = []
        self.failures: list[str] = []
        self.notes: list[str] = []
        self.unseen_overlaps: set[str] = set()
        self.submit: Callable[[float], AcceptedJob] = self._submit_in_process
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-")))
        self.redis = RedisServer(folder / "redis")
        self._stack.callback(self.redis.end, 9)
        self.redis.start()
        self.client = Client(self.redis.url)
        self._stack.callback(self.client.close)
        self.fleet = WorkerFleet(self.plan.pool, self.env_vars())
        self._stack.callback(self.fleet.close)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def env_vars(self) -> dict[str, str]:
        """The environment variables of workers and web processes."""
        return {
            "REDIS_URL": self.redis.url,
            "CELERY_BROKER_URL": "",
            "OPENAI_BASE_URL": self.model_url,
            "OPENAI_API_KEY": "sk-chaos",
            "CHATQUEUE_LEASE_SECONDS": str(self.plan.lease_seconds),
            "CHATQUEUE_HEARTBEAT_SECONDS": str(self.plan.heartbeat_seconds),
            "CHATQUEUE_REDIS_TIMEOUT_SECONDS": "2",
            "CHATQUEUE_BACKOFF_BASE_SECONDS": "0.2",
            "CHATQUEUE_MAX_ATTEMPTS": "4",
            "PYTHONPATH": "",
        }

    def poison(self) -> None:
        """Make workers that are started from now on crash on poison jobs."""
        self.fleet.env["PYTHONPATH"] = str(FAULT_FOLDER / "poison")

    def proxy(self) -> Proxy:
        """A proxy to Redis. Only processes that get its URL connect through it."""
        proxy = Proxy(self.redis.port)
        self._stack.callback(proxy.close)
        return proxy

    def proxy_for_workers(self) -> Proxy:
        """A proxy through which workers that are started from now on connect to Redis."""
        proxy = self.proxy()
        self.fleet.env["REDIS_URL"] = proxy.url
        return proxy

    def on_close(self, close: Callable[[], None]) -> None:
        """Register a function that is called after the verdict."""
        self._stack.callback(close)

    def enter(self, context: AbstractContextManager[T]) -> T:
        """Enter a context, which is left after the verdict."""
        return self._stack.enter_context(context)

    def process(self, args: list[str], *, ready: str, env: dict[str, str], folder: Path = PROJECT_ROOT) -> Process:
        """Start another process, which is stopped at the end of the row."""
        return self._stack.enter_context(running(args, ready=ready, env=env, folder=folder))

    def calls(self) -> Calls:
        """The provider calls of the accepted jobs so far."""
        return Calls.fetch(self.model_url).of([sent.key for sent in self.client.sent])

    def _submit_in_process(self, seconds: float) -> AcceptedJob:
        return self.client.submit(seconds)

    def wait(self, condition: Callable[[], object], seconds: float, what: str) -> bool:
        """Wait for the condition. When it does not hold in time, record a failure and return False."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                self.failures.append(f"timeout after {seconds:.0f} s: {what}")
                return False
            time.sleep(0.1)
        return True

    def wait_for_calls(self, sent: list[AcceptedJob], seconds: float, what: str) -> list[float]:
        """The start of the first call of each job. If a job has none in time: a failure, and an empty list."""
        keys = [job.key for job in sent]
        if not self.wait(lambda: all(self.calls().of([key]).total for key in keys), seconds, what):
            return []
        calls = self.calls()
        return [calls.of([key]).started_after(0)[0] for key in keys]

    def wait_for_a_call(self, since: float, seconds: float, count: int = 1) -> float | None:
        """The start of the `count`-th call since the moment. If there are fewer in time: a failure, and None."""
        if not self.wait(lambda: len(self.calls().started_after(since)) >= count, seconds, "work continues"):
            return None
        return self.calls().started_after(since)[count - 1]

    def time_recovery(self) -> None:
        """Record how long it takes from now until a job begins."""
        returned_at = time.time()
        started_at = self.wait_for_a_call(returned_at, 60)
        if started_at is not None:
            self.recovery_seconds.append(started_at - returned_at)

    def records(self) -> list[tuple[AcceptedJob, JobRecord | None]]:
        """Every accepted job with its record; None where the record is lost."""
        return [(sent, self.client.store.run(queries.record(sent.job_id))) for sent in self.client.sent]

    def unfinished(self) -> bool:
        """Whether an accepted job has not reached a final state."""
        return any(record is None or not record.is_final for _, record in self.records())

    def keys_held_by(self, worker: Worker) -> set[str]:
        """The keys of the jobs that this worker has claimed and not finished."""
        pids = {str(pid) for pid in (worker.pid, *worker.children())}
        held = [(sent, record) for sent, record in self.records() if record and not record.is_final]
        return {sent.key for sent, record in held if record.owner and record.owner.rsplit(":", 1)[1] in pids}

    def wait_until_busy(self, calls: int, seconds: float = 30) -> bool:
        return self.wait(lambda: self.calls().open >= calls, seconds, f"{calls} calls open")

    def submit_while(self, seconds: float, pause: float, job_seconds: float) -> None:
        """Submit a job after each pause, for that many seconds."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.submit(job_seconds)
            time.sleep(pause)

    def expect_recovery_times(self, *, p95: float | None = None, at_most: float | None = None) -> None:
        """Record a failure when recovery times exceed these targets."""
        if not self.recovery_seconds:
            self.failures.append("the fault had no effect")
            return
        if p95 is not None and percentile(self.recovery_seconds, 0.95) > p95:
            self.failures.append(f"recovery p95 above {p95:.1f} s")
        if at_most is not None and max(self.recovery_seconds) > at_most:
            self.failures.append(f"recovery above {at_most:.1f} s")

    def expect_resumptions(self, within: float, since: float = 0.0) -> None:
        """Expect broken calls to be repeated in time. Repeats in quarantine, which take turns, are only noted."""
        resumptions = [resumption for resumption in self.calls().resumptions() if resumption.broken_at >= since]
        self.recovery_seconds += [resumption.seconds for resumption in resumptions if resumption.broken_calls < 2]
        quarantined = [resumption.seconds for resumption in resumptions if resumption.broken_calls >= 2]
        if quarantined:
            self.notes.append(f"{len(quarantined)} repeated in quarantine, at most {max(quarantined):.0f} s")
        self.expect_recovery_times(p95=within)

    def resumptions(self) -> list[Resumption]:
        return self.calls().resumptions()


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
