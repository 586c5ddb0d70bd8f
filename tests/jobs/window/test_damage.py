"""Damaged records, lost keys and a clock that is set back: no other job fails or is stuck, and the audit repairs."""

import uuid

import pytest

from jobs.kinds.chat import ChatAnswer, ChatTask
from jobs.models import Claim, Lane, NewJob, Place
from jobs.results import JobError
from jobs.states import State
from jobs.storage import keys, transitions
from jobs.storage.keys import DEFAULT_QUEUE
from jobs.storage.message_template import MessageTemplate
from jobs.storage.worker_reports import report_worker
from tests.support.virtual_time import VirtualTime
from tests.support.workers import worker_status

pytestmark = pytest.mark.slow

TEMPLATE = MessageTemplate(DEFAULT_QUEUE, normal='{"id":"{id}"}', high='{"id":"{id}"}')
ANSWER = ChatAnswer(text="hi", model="m", finish_reason="stop", usage=None)
ERROR = JobError(code="provider_unavailable", message="the provider answered 503")
GARBAGE = ["", "x", "-1", "1.5", "1e300", "nan", "inf", ":", "a:b\nc", "*", "\x00", "9" * 40]
FIELDS = ["pool", "lane", "tenant", "fair_key", "seq", "target", "tokens", "most_tokens", "input_tokens",
          "max_output_tokens", "published_at_ms", "retry_at_ms", "started_at_ms", "model", "state"]  # fmt: skip


class Jobs:
    """A few jobs in lines, published and in progress, with limits of all kinds, in virtual time."""

    def __init__(self, store, settings, client) -> None:
        self.time, self.settings, self.client = VirtualTime(store), settings, client
        limits: dict[str, str | int] = {
            "requests_per_minute": 600,
            "tokens_per_minute": 100_000,
            "concurrency": 4,
            "token_count": "used",
        }
        self.configure = transitions.configure_targets({"n": ["main/n", "other/n"]}, {"main/m": limits, "main": limits})
        self.run(self.configure)
        self.report(slots=4)
        self.ids: list[str] = []
        for pool in ("m", "n", "-"):
            for tenant in ("a", "b"):
                for lane in Lane:
                    self.ids += [self.create(pool, tenant, lane, fair_key) for fair_key in ("x", "y")]

    def run(self, command):
        return self.time.run(command)

    def report(self, slots: int) -> None:
        self.run(report_worker(worker_status(slots=slots), TEMPLATE, self.settings))

    def create(self, pool="m", tenant="a", lane=Lane.INTERACTIVE, fair_key=None) -> str:
        job = NewJob(
            job_id=f"job_{uuid.uuid4().hex}", tenant=tenant, queue=DEFAULT_QUEUE,
            request=ChatTask(kind="chat", message="hello"), place=Place(pool=pool, lane=lane, fair_key=fair_key),
            input_tokens=10, max_output_tokens=10, max_attempts=4, deadline_seconds=86_400,
        )  # fmt: skip
        self.run(transitions.create(job, TEMPLATE, self.settings))
        return job.job_id

    def published(self) -> list[str]:
        lists = (keys.messages_high(DEFAULT_QUEUE), keys.messages(DEFAULT_QUEUE))
        return [job_id.decode() for name in lists for job_id in self.client.zrange(name, 0, -1)]

    def claim(self, job_id: str):
        return self.run(transitions.claim(job_id, uuid.uuid4().hex, "w", TEMPLATE, self.settings))

    def state(self, job_id: str) -> str | None:
        state = self.client.hget(keys.job(job_id), "state")
        return state and state.decode()

    def drain(self, job_ids: list[str], passes: int = 60) -> None:
        """Work until these jobs have ended. Raises AssertionError if one never does."""
        for _ in range(passes):
            for job_id in self.published():
                claim = self.claim(job_id)
                if isinstance(claim, Claim):
                    self.run(transitions.finish(claim.lease, ANSWER, State.COMPLETED, self.settings))
                elif isinstance(claim, transitions.NotClaimed) and claim.reason != "early":
                    self.run(transitions.republish(job_id, TEMPLATE, 0))
            for job_id in self.client.zrangebyscore(keys.WAITING, "-inf", self.time.now_ms):
                self.run(transitions.republish(job_id.decode(), TEMPLATE, 5))
            if not any(self.state(job_id) == "queued" for job_id in job_ids):
                return
            self.time.pass_ms(2_000)
            self.run(transitions.dispatch(DEFAULT_QUEUE))
            self.report(slots=4)
        raise AssertionError([job_id for job_id in job_ids if self.state(job_id) == "queued"])

    def audit(self) -> tuple[int, int]:
        queued = [job_id for job_id in self.ids if self.state(job_id) == "queued"]
        return self.run(transitions.audit_queue(DEFAULT_QUEUE, queued))


@pytest.fixture
def jobs(store, settings, redis_client, virtual_time):
    return Jobs(store, settings, redis_client)


@pytest.mark.parametrize("field", FIELDS)
def test_a_damaged_record_harms_no_other_job(jobs, redis_client, field):
    """Whatever a field contains, in a line, in a message or in progress: all scripts run, and all other jobs end."""
    claimed = [claim for claim in map(jobs.claim, jobs.published()) if isinstance(claim, Claim)]
    damaged = [*jobs.published()[:1], claimed[0].lease.job_id, *[i for i in jobs.ids if jobs.state(i) == "queued"][-9:]]
    for job_id, garbage in zip(damaged, GARBAGE, strict=False):
        redis_client.hset(keys.job(job_id), field, garbage)
    others = [job_id for job_id in jobs.ids if job_id not in damaged]

    jobs.audit()
    for claim in claimed[1:]:
        jobs.run(transitions.note_fault("main/m", "rate_limited", 0.1, job_id=claim.lease.job_id))
        jobs.run(transitions.release(claim.lease, ERROR, 0, TEMPLATE, "waits"))
    jobs.drain(others)
    for job_id in damaged:
        jobs.run(transitions.cancel(job_id, DEFAULT_QUEUE, jobs.settings))
    jobs.audit()
    jobs.drain([jobs.create(), jobs.create("n")])

    assert {jobs.state(job_id) for job_id in others} == {"completed"}


@pytest.mark.parametrize("garbage", GARBAGE)
def test_a_damaged_record_can_be_cancelled(jobs, redis_client, garbage):
    """A job with all its numbers and names damaged still ends, and its lines are empty afterwards."""
    for job_id in jobs.ids:
        redis_client.hset(keys.job(job_id), mapping=dict.fromkeys(set(FIELDS) - {"state"}, garbage))
    for job_id in jobs.ids:
        assert jobs.run(transitions.cancel(job_id, DEFAULT_QUEUE, jobs.settings)) == "cancelled"
    jobs.report(slots=4)
    jobs.run(transitions.dispatch(DEFAULT_QUEUE))
    jobs.audit()
    jobs.drain([jobs.create()])


def lost_keys(redis_client):
    """Every key of the ready window; those of records and indexes belong to other tests."""
    prefixes = ("cq:line", "cq:fair-keys", "cq:tenants", "cq:pools", "cq:queued", "cq:closed", "cq:clock", "cq:target",
                "cq:requests", "cq:tokens", "cq:window", "cq:slots-of", "cq:takers", "cq:dispatchers", "cq:calls",
                "cq:routes", "cq:configured", "cq:messages", "cq:outbox", "cq:claimed")  # fmt: skip
    return sorted(key.decode() for key in redis_client.keys("cq:*") if key.decode().startswith(prefixes))


def test_no_lost_key_stops_the_others_and_one_audit_repairs(jobs, redis_client):
    """Each key of lines, turns, clocks and targets is evicted once. All jobs end after one audit."""
    backlog = jobs.ids
    for key in lost_keys(redis_client):
        redis_client.flushall()
        jobs.__init__(jobs.time.store, jobs.settings, redis_client)
        for job_id in jobs.published()[:2]:
            assert isinstance(jobs.claim(job_id), Claim)
        redis_client.delete(key)
        extra = jobs.create()
        jobs.run(transitions.cancel(jobs.ids[-1], DEFAULT_QUEUE, jobs.settings))
        jobs.report(slots=4)
        jobs.run(jobs.configure)
        jobs.audit()
        assert jobs.audit() == (0, 0), key
        jobs.drain([*jobs.ids, extra])
    assert backlog


def test_ids_without_a_record_leave_the_lines(jobs, redis_client):
    """A record that was evicted while its job waited: the line goes on behind it."""
    gone = [job_id for job_id in jobs.ids if jobs.state(job_id) == "queued"][-12:]
    redis_client.delete(*map(keys.job, gone))
    jobs.audit()
    jobs.drain([job_id for job_id in jobs.ids if job_id not in gone])
    jobs.run(transitions.dispatch(DEFAULT_QUEUE))

    assert redis_client.keys("cq:line:*") == []
    assert redis_client.keys("cq:pools:*") == []


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_jumps_stops_nothing(jobs, hours):
    """The server's clock is set back or forward by an hour. Waits for rates become at most a minute long."""
    claimed = [claim for claim in map(jobs.claim, jobs.published()) if isinstance(claim, Claim)]
    jobs.time.pass_ms(hours * 3_600_000)
    jobs.report(slots=20)
    for claim in claimed:
        assert jobs.run(transitions.finish(claim.lease, ANSWER, State.COMPLETED, jobs.settings)) is True
    jobs.drain([job_id for job_id in jobs.ids if jobs.state(job_id) == "queued"])


def test_a_lost_clock_starves_nobody(jobs, redis_client):
    """After the clocks are lost, tenants that waited before start in turn with new ones."""
    for key in redis_client.keys("cq:tenants:*"):
        for tenant in redis_client.zrange(key, 0, -1):
            redis_client.zadd(key, {tenant: 5_000})  # as after many starts
    redis_client.delete(*redis_client.keys("cq:clock*"))
    for _ in range(20):
        jobs.create(tenant="new")
    jobs.audit()
    jobs.drain(jobs.ids, passes=40)


def test_a_name_with_a_colon_shares_no_line_with_another(jobs, redis_client):
    """Fair keys and pools are any text. Two places never have the same key."""
    first, second = jobs.create("b:c", fair_key="a"), jobs.create("c", fair_key="a:b")
    lines = [key for key in redis_client.keys("cq:line:*") if key.endswith(b"c")]

    assert sorted(redis_client.zrange(line, 0, -1) for line in lines) == sorted([[first.encode()], [second.encode()]])
    jobs.drain([first, second])
