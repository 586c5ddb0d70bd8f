"""Random sequences of all transitions, deaths and passing time. After each step the invariants of model.py hold."""

import os
import uuid
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from jobs import queries
from jobs.kinds.chat import ChatAnswer, ChatTask
from jobs.models import Claim, Lane, Lease, NewJob, Place
from jobs.results import JobError
from jobs.states import State
from jobs.storage import keys, transitions
from jobs.storage.keys import DEFAULT_QUEUE
from jobs.storage.message_template import MessageTemplate
from jobs.storage.worker_reports import report_worker
from jobs.tenant import Tenant
from tests.jobs.window.conftest import IS_LARGE
from tests.jobs.window.model import Model, read_snapshot
from tests.support.virtual_time import VirtualTime
from tests.support.workers import worker_status

TEMPLATE = MessageTemplate(DEFAULT_QUEUE, normal='{"id":"{id}"}', high='{"id":"{id}"}')
ANSWER = ChatAnswer(text="hi", model="m", finish_reason="stop", usage=None)
ERROR = JobError(code="provider_unavailable", message="the provider answered 503")
WEIGHTS = {"a": 1.0, "b": 2.0, "c": 1.0}
POOLS = ["m", "m", "n", "free", "-"]  # 'n' has two targets; 'free' has no limit until it learns one
ROUTES = {"n": ["main/n", "other/n"], "free": ["free/f"]}
INDEX = st.integers(0, 10_000)


class Machine(RuleBasedStateMachine):
    """``store``, ``client`` and ``settings`` are set on a subclass by the test."""

    store: Any
    client: Any
    settings: Any

    def __init__(self) -> None:
        super().__init__()
        self.client.flushall()
        self.time = VirtualTime(self.store)
        self.model = Model(WEIGHTS)
        self.leases: dict[str, Lease] = {}
        self.calls: list[transitions.CallTurn] = []
        for tenant, weight in WEIGHTS.items():
            self.run(transitions.set_tenant_weight(Tenant(tenant), weight))
        self.run(transitions.configure_targets(ROUTES, {}))
        self.client.hset(keys.target("free/f"), "starts", 1_000)
        self.report(0, 3, True)

    def run(self, command: Any) -> Any:
        return self.time.run(command)

    def pick(self, index: int, state: str) -> str | None:
        found = [job_id for job_id, own in self.model.states.items() if own == state]
        return found[index % len(found)] if found else None

    # Callers

    @rule(
        number=st.integers(1, 4), tenant=st.sampled_from("abc"), pool=st.sampled_from(POOLS),
        lane=st.sampled_from([Lane.INTERACTIVE, Lane.INTERACTIVE, Lane.BATCH]),
        fair_key=st.sampled_from([None, "x", "y"]),
        tokens=st.sampled_from([0, 100, 5_000]),
    )  # fmt: skip
    def create(self, number, tenant, pool, lane, fair_key, tokens):
        for _ in range(number):
            job = NewJob(
                job_id=f"job_{uuid.uuid4().hex}", tenant=tenant, queue=DEFAULT_QUEUE,
                request=ChatTask(kind="chat", message="hello"), place=Place(pool=pool, lane=lane, fair_key=fair_key),
                input_tokens=tokens, max_output_tokens=100, max_attempts=4, deadline_seconds=86_400 * 365,
            )  # fmt: skip
            self.run(transitions.create(job, TEMPLATE, self.settings))
            self.model.states[job.job_id] = "queued"

    @rule(index=INDEX, state=st.sampled_from(["queued", "queued", "in_progress"]))
    def cancel(self, index, state):
        if job_id := self.pick(index, state):
            assert self.run(transitions.cancel(job_id, DEFAULT_QUEUE, self.settings)) == "cancelled"
            self.model.states[job_id] = "cancelled"

    # Workers

    def claim(self, job_id: str) -> None:
        claim = self.run(transitions.claim(job_id, uuid.uuid4().hex, "w", TEMPLATE, self.settings))
        if isinstance(claim, Claim):
            self.model.states[job_id] = "in_progress"
            self.leases[job_id] = claim.lease
        else:
            assert claim.reason == "early"

    @rule(number=st.integers(1, 5))
    def claim_messages(self, number):
        for job_id in sorted(self.model.before.published if self.model.before else ())[:number]:
            if self.model.states[job_id] == "queued":
                self.claim(job_id)

    @rule(index=INDEX, is_due=st.booleans())
    def claim_by_a_surplus_message(self, index, is_due):
        due = self.client.zrangebyscore(keys.WAITING, "-inf", self.time.now_ms)
        if job_id := due[0].decode() if is_due and due else self.pick(index, "queued"):
            self.claim(job_id)

    @rule(index=INDEX)
    def claim_by_a_worker_that_cannot_run_the_job(self, index):
        if job_id := self.pick(index, "queued"):
            self.client.hset(keys.job(job_id), "needs", "poem")
            claim = self.run(transitions.claim(job_id, uuid.uuid4().hex, "w", TEMPLATE, self.settings))
            assert isinstance(claim, transitions.Unable) or claim.reason == "early"
            self.client.hdel(keys.job(job_id), "needs")

    @rule(number=st.integers(1, 4), state=st.sampled_from([State.COMPLETED, State.FAILED]))
    def finish(self, number, state):
        for _ in range(number):
            if job_id := self.pick(0, "in_progress"):
                lease = self.leases[job_id]
                command = transitions.finish(lease, ANSWER, state, self.settings)
                if state is State.FAILED:
                    command = transitions.fail(lease, ERROR, None, self.settings)
                assert self.run(command) is True
                self.model.states[job_id] = state.value

    @rule(
        index=INDEX,
        how=st.sampled_from(["failures", "waits", "refund", "put_back"]),
        wait=st.sampled_from([0, 0, 0.5, 30]),
    )
    def release(self, index, how, wait):
        if job_id := self.pick(index, "in_progress"):
            if how == "put_back":
                self.run(transitions.put_back(self.leases[job_id], TEMPLATE))
                self.client.hdel(keys.job(job_id), *[f for f in self.client.hkeys(keys.job(job_id)) if b"unread" in f])
            else:
                assert self.run(transitions.release(self.leases[job_id], ERROR, wait, TEMPLATE, how)) is not None
            self.model.states[job_id] = "queued"

    @rule(index=INDEX, fault=st.sampled_from(["rate_limited", "unavailable", "quota", "denied"]),
          retry_after=st.sampled_from([None, 0.5, 20, 59]))  # fmt: skip
    def fault(self, index, fault, retry_after):
        job_id = self.pick(index, "in_progress")
        target = self.client.hget(keys.job(job_id), "target") if job_id else None
        if job_id and target:
            self.run(transitions.note_fault(target.decode(), fault, retry_after, job_id=job_id))
            self.run(transitions.release(self.leases[job_id], ERROR, 0, TEMPLATE, "waits"))
            self.model.states[job_id] = "queued"

    @rule(worker=st.integers(0, 1), slots=st.integers(0, 12), takes_jobs=st.booleans())
    def report(self, worker, slots, takes_jobs):
        status = worker_status(name=f"w{worker}", slots=slots, takes_jobs=takes_jobs)
        self.run(report_worker(status, TEMPLATE, self.settings))

    @rule()
    def all_workers_die(self):
        """Their leases expire, and a new worker recovers their jobs."""
        self.pass_time(self.settings.lease_seconds * 1000 + 1)
        for job_id in [job_id for job_id, state in self.model.states.items() if state == "in_progress"]:
            self.run(transitions.release(self.leases[job_id], ERROR, 0, TEMPLATE, "worker_losses"))
            self.model.states[job_id] = "queued"
        self.all_invariants()
        self.report(0, 3, True)

    @rule(pool=st.sampled_from(POOLS))
    def begin_call(self, pool):
        turn = self.run(transitions.begin_call(pool, 10))
        if turn.is_open:
            self.calls.append(turn)

    @precondition(lambda self: self.calls)
    @rule(has_succeeded=st.booleans())
    def end_call(self, has_succeeded):
        self.run(transitions.end_call(self.calls.pop(), None, has_succeeded=has_succeeded))

    # Time, maintenance and limits

    @rule(milliseconds=st.sampled_from([1, 30, 500, 5_000, 61_000, 400_000]))
    def pass_time(self, milliseconds):
        self.time.pass_ms(milliseconds)
        until = float(self.client.hget(keys.window(DEFAULT_QUEUE), "slots_until_ms") or 0)
        if until <= self.time.now_ms:
            self.client.delete(keys.TAKERS, "cq:dispatchers", "cq:slots-of")  # these expire in real time

    @rule()
    def maintain(self):
        due = self.client.zrangebyscore(keys.WAITING, "-inf", self.time.now_ms)
        for job_id in due:
            assert self.run(transitions.republish(job_id.decode(), TEMPLATE)) == "queued"
        self.run(transitions.dispatch(DEFAULT_QUEUE))

    @rule(index=INDEX, lost_after=st.sampled_from([0, 5]))
    def republish(self, index, lost_after):
        if job_id := self.pick(index, "queued"):
            self.run(transitions.republish(job_id, TEMPLATE, lost_after))

    @rule()
    def audit(self):
        """Nothing is wrong, so nothing is repaired."""
        assert self.run(transitions.audit_queue(DEFAULT_QUEUE, self.queued_ids())) == (0, 0)
        assert self.run(transitions.audit_sizes(self.run(queries.tenants()))) == (False, False)

    def queued_ids(self):
        return [job_id for job_id, state in self.model.states.items() if state == "queued"]

    @rule(requests=st.sampled_from([None, 1, 60, 600]), tokens=st.sampled_from([None, 1_000]),
          concurrency=st.sampled_from([None, 1, 3]), count=st.sampled_from(["reserved", "used"]))  # fmt: skip
    def configure(self, requests, tokens, concurrency, count):
        limits = {"requests_per_minute": requests, "tokens_per_minute": tokens, "concurrency": concurrency}
        given = {name: value for name, value in limits.items() if value}
        self.run(transitions.configure_targets(ROUTES, {"main/m": given} if given else {}, {"main/m": count}))

    @rule(limit=st.sampled_from([10, 600]), used=st.sampled_from([0, 5, 10]))
    def observe(self, limit, used):
        self.run(transitions.observe_limits(
            "main/n", requests_limit=limit, requests_remaining=limit - used, tokens_limit=None, tokens_remaining=None,
        ))  # fmt: skip

    @invariant()
    def all_invariants(self):
        self.model.check(read_snapshot(self.client, self.time.now_ms, list(self.model.states)))

    def teardown(self):
        """Nothing is stuck: with workers and time every job ends."""
        self.run(transitions.configure_targets(ROUTES, {}))
        self.report(1, 0, False)
        while self.calls:
            self.end_call(False)
        for _ in range(3_000):
            if not set(self.model.states.values()) & {"queued", "in_progress"}:
                return
            self.report(0, 12, True)
            self.maintain()
            self.all_invariants()
            self.claim_messages(12)
            self.finish(12, State.COMPLETED)
            self.all_invariants()
            self.pass_time(5_000)
        raise AssertionError(f"stuck: {self.model.before}")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_random_sequences_of_transitions_keep_all_invariants(store, redis_client, settings, virtual_time):
    """At most 50 steps each. LARGE_SIMULATIONS runs many more, with new random choices each time."""
    machine = type("BoundMachine", (Machine,), {"store": store, "client": redis_client, "settings": settings})
    run_state_machine_as_test(
        machine,
        settings=hypothesis_settings(
            max_examples=int(os.environ["LARGE_SIMULATIONS"]) if IS_LARGE else 20,
            stateful_step_count=50,
            derandomize=not IS_LARGE,
            deadline=None,
            phases=list(Phase) if IS_LARGE else [Phase.generate],  # to shrink a failure takes minutes
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
