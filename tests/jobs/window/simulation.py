"""Workers, the leader of maintenance and a provider in virtual time, around the real scripts on a real server.

A worker takes messages from Celery's list while it has a free slot, claims the job a little later, and calls the
provider a little after that. What a real worker does in between does not matter here.
"""

import heapq
import json
import random
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Any, Final

from jobs.kinds.chat import ChatAnswer, ChatTask
from jobs.models import Claim, Lane, Lease, NewJob, Place
from jobs.results import JobError, Usage
from jobs.settings import Settings
from jobs.states import State
from jobs.storage import keys, transitions
from jobs.storage.commands import Command, plain_command
from jobs.storage.keys import DEFAULT_QUEUE
from jobs.storage.message_template import MessageTemplate
from jobs.storage.sync_store import Store
from jobs.storage.worker_reports import report_worker
from tests.jobs.window.providers import Call, Provider
from tests.support.virtual_time import VirtualTime
from tests.support.workers import worker_status

_TICK_MS: Final = 500.0  # between two calls of dispatch by the leader, at most
_LEAST_TICK_MS: Final = 25.0
_HEARTBEAT_MS: Final = 5000.0
_TEMPLATE: Final = MessageTemplate(DEFAULT_QUEUE, normal='{"id":"{id}"}', high='{"id":"{id}"}')
_ERROR: Final = JobError(code="provider_rate_limited", message="the provider answered 429")
_CREATES_AT_ONCE: Final = 500


@dataclass(frozen=True)
class Start:
    """A call that has started."""

    at_ms: float
    job_id: str
    name: str  # what the test called the job's group
    target: str


@dataclass
class Simulation:
    """``slots`` of one worker; ``call_ms``: the shortest and the longest call."""

    store: Store
    settings: Settings
    provider: Provider = field(default_factory=Provider)
    slots: int = 10
    call_ms: tuple[float, float] = (500, 2000)
    claim_jitter_ms: tuple[float, float] = (0.5, 20)
    call_jitter_ms: tuple[float, float] = (1, 100)
    seed: int = 1

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.time = VirtualTime(self.store)
        self.starts: list[Start] = []
        self.finished: list[str] = []
        self.names: dict[str, str] = {}
        self.leases: dict[str, Lease] = {}
        self.too_large: list[str] = []
        self.on_call: Callable[[], None] = lambda: None
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._free = self.slots
        self._heartbeat()
        self._lead()

    # What tests do

    def submit(
        self, number: int, name: str = "job", *, tenant: str = "default", pool: str = "m", lane: str = "interactive",
        fair_keys: Iterable[str | None] = (None,), input_tokens: int = 0, max_output_tokens: int | None = None,
    ) -> list[str]:  # fmt: skip
        """Create jobs, with the fair keys in turn. Returns their ids."""
        users = list(fair_keys)
        jobs = [
            NewJob(
                job_id=f"job_{uuid.UUID(int=self.random.getrandbits(128)).hex}",
                tenant=tenant,
                queue=DEFAULT_QUEUE,
                request=ChatTask(kind="chat", message="hello"),
                place=Place(pool=pool, lane=Lane(lane), fair_key=users[i % len(users)]),
                input_tokens=input_tokens,
                max_output_tokens=max_output_tokens,
                max_attempts=4,
                deadline_seconds=86_400,
            )
            for i in range(number)
        ]
        for first in range(0, number, _CREATES_AT_ONCE):
            some = jobs[first : first + _CREATES_AT_ONCE]
            self.run_all([transitions.create(job, _TEMPLATE, self.settings) for job in some])
        ids = [job.job_id for job in jobs]
        self.names |= dict.fromkeys(ids, name)
        return ids

    def cancel(self, job_ids: Iterable[str]) -> None:
        self.run_all([transitions.cancel(job_id, DEFAULT_QUEUE, self.settings) for job_id in job_ids])

    def fail(self, job_id: str) -> None:
        """The running job fails through a fault of its own."""
        self.run(transitions.fail(self.leases[job_id], _ERROR, None, self.settings))

    def run_for(self, seconds: float) -> None:
        self.run_until(lambda: False, seconds)

    def run_until(self, is_done: Callable[[], bool], seconds: float) -> None:
        """Let time pass until then, or for so long at most."""
        end = self.time.now_ms + seconds * 1000
        while not is_done() and self._events and self._events[0][0] <= end:
            at, _, act = heapq.heappop(self._events)
            self.time.now_ms = max(self.time.now_ms, at)
            act()
        if not is_done():
            self.time.now_ms = end

    def after(self, milliseconds: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.time.now_ms + milliseconds, next(self._order), act))

    def names_started(self) -> list[str]:
        return [start.name for start in self.starts]

    def set_slots(self, slots: int) -> None:
        self._free += slots - self.slots
        self.slots = slots
        self._heartbeat_now()

    def run(self, command: Command[Any]) -> Any:
        return self.run_all([command])[0]

    def run_all(self, commands: list[Command[Any]]) -> list[Any]:
        """Run commands, and take the messages for which there is a free slot."""
        pops = (
            [_pop(_TEMPLATE.high_list, self._free), _pop(_TEMPLATE.normal_list, self._free)] if self._free > 0 else []
        )
        *replies, high, normal = (
            self.time.run_all([*commands, *pops]) if pops else [*self.time.run_all(commands), [], []]
        )
        for job_id in high + normal:
            self._free -= 1
            self.after(self.random.uniform(*self.claim_jitter_ms), partial(self._claim, job_id))
        return replies

    # What the worker and the leader do

    def _heartbeat_now(self) -> None:
        self.run(report_worker(worker_status(slots=self.slots), _TEMPLATE, self.settings))

    def _heartbeat(self) -> None:
        self._heartbeat_now()
        self.after(_HEARTBEAT_MS, self._heartbeat)

    def _lead(self) -> None:
        seconds = self.run(transitions.dispatch(DEFAULT_QUEUE))
        wait_ms = _TICK_MS if seconds is None else min(max(seconds * 1000, _LEAST_TICK_MS), _TICK_MS)
        self.after((0 if seconds == 0 else wait_ms) + self.random.uniform(0, 5), self._lead)

    def _claim(self, job_id: str) -> None:
        claim = self.run(transitions.claim(job_id, uuid.uuid4().hex, "worker-1", _TEMPLATE, self.settings))
        if isinstance(claim, Claim):
            self.after(self.random.uniform(*self.call_jitter_ms), lambda: self._call(claim))
        else:
            self._free += 1
            self.run_all([])

    def _call(self, claim: Claim) -> None:
        job_id, now = claim.lease.job_id, self.time.now_ms
        self.leases[job_id] = claim.lease
        self.starts.append(Start(now, job_id, self.names[job_id], claim.target))
        self.on_call()
        if claim.is_too_large:
            self.too_large.append(job_id)
        call = self.provider.call(claim.target, now, self.random)
        if call.fault is not None:
            self.after(self.random.uniform(20, 60), lambda: self._fail(claim, call))
            return
        self.after(self.random.uniform(20, 60), lambda: self._observe(claim.target, call))
        self.after(self.random.uniform(*self.call_ms), lambda: self._finish(claim.lease, call))

    def _observe(self, target: str, call: Call) -> None:
        if call.headers:
            self.run(transitions.observe_limits(target, **call.headers))

    def _fail(self, claim: Claim, call: Call) -> None:
        if call.headers:
            self.run(transitions.observe_limits(claim.target, **call.headers))
        assert call.fault is not None
        job_id = claim.lease.job_id
        self.run(transitions.note_fault(claim.target, call.fault, call.retry_after_seconds, job_id=job_id))
        self._free += 1
        self.run(transitions.release(claim.lease, _ERROR, 0, _TEMPLATE, "waits"))

    def _finish(self, lease: Lease, call: Call) -> None:
        self._free += 1
        usage = None if call.used_tokens is None else Usage(
            input_tokens=call.used_tokens, output_tokens=0, total_tokens=call.used_tokens, estimated=False
        )  # fmt: skip
        answer = ChatAnswer(text="hi", model="m", finish_reason="stop", usage=usage)
        if self.run(transitions.finish(lease, answer, State.COMPLETED, self.settings)):
            self.finished.append(lease.job_id)


def _pop(broker_list: str, number: int) -> Command[list[str]]:
    return plain_command(
        "RPOP", broker_list, number, read=lambda reply: [json.loads(message)["id"] for message in reply or ()]
    )


def waiting(simulation: Simulation) -> int:
    """The number of jobs in all lines."""
    counts = [plain_command("HVALS", f"cq:queued:{lane}", read=lambda reply: sum(map(int, reply))) for lane in Lane]
    return sum(simulation.store.run_all(counts))


def target_field(simulation: Simulation, target: str, name: str) -> str | None:
    return simulation.store.run(
        plain_command("HGET", keys.target(target), name, read=lambda reply: reply and reply.decode())
    )
