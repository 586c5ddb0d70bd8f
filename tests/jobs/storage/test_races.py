"""Simultaneous transitions: whatever their order, each race has one outcome on which all readers agree."""

import itertools
import json

from jobs import queries
from jobs.models import Claim
from jobs.states import State
from jobs.storage import keys, transitions
from tests.jobs.conftest import run_together

RACES = 60


def final_events(redis_client, job_id):
    lines = redis_client.lrange(keys.events(job_id), 0, -1)
    return [event["type"] for event in map(json.loads, lines) if event["type"] in set(State) - {"in_progress"}]


def test_fifty_equal_creates_with_one_key_create_one_job(jobs, redis_client):
    """One Idempotency-Key in fifty simultaneous calls leads to one job and one message."""
    creates = [transitions.create(jobs.new_job(key="k"), jobs.message_template, jobs.settings) for _ in range(50)]

    answers = run_together(*(lambda c=create: jobs.store.run(c) for create in creates))
    assert len({answer.job_id for answer in answers}) == 1
    assert sum(answer.is_new for answer in answers) == 1
    assert redis_client.llen(jobs.message_template.normal_list) == 1


def test_the_queue_limit_holds_under_simultaneous_creates(jobs):
    """The limit is checked within the create: forty simultaneous calls do not exceed a limit of ten."""
    jobs.settings = jobs.settings.model_copy(update={"max_queued": 10})

    def create():
        try:
            return jobs.create()
        except Exception as refusal:
            return refusal

    answers = run_together(*[create] * 40)
    assert sum(isinstance(answer, str) for answer in answers) == 10
    assert jobs.store.run(queries.count(State.QUEUED)) == 10


def test_twenty_claims_of_one_job_give_one_lease(jobs):
    """However many workers receive the message of a job, one of them gets a lease."""
    for _ in range(RACES // 4):
        job_id = jobs.create()
        answers = run_together(*[lambda j=job_id: jobs.claim(j)] * 20)
        assert sum(isinstance(answer, Claim) for answer in answers) == 1


def test_cancel_against_finish_has_one_outcome(jobs, redis_client):
    """The state, the only final event and the stored result agree, and an acknowledged cancel is never undone."""
    for _ in range(RACES):
        lease = jobs.lease()
        finished, cancelled = run_together(
            lambda held=lease: jobs.finish(held), lambda held=lease: jobs.cancel(held.job_id)
        )
        state = jobs.record(lease.job_id).state
        assert finished == (state is State.COMPLETED)
        assert (cancelled == "cancelled") == (state is State.CANCELLED)
        assert final_events(redis_client, lease.job_id) == [state]
        status = json.loads(redis_client.get(keys.result(lease.job_id)))["status"]
        assert status == ("SUCCESS" if finished else "REVOKED")


def test_cancel_against_claim_leaves_the_job_cancelled(jobs):
    """Whether or not the worker was first, the job ends cancelled and the writes of the worker are refused."""
    for _ in range(RACES):
        job_id = jobs.create()
        claim, cancelled = run_together(lambda j=job_id: jobs.claim(j), lambda j=job_id: jobs.cancel(j))
        assert cancelled == "cancelled"
        assert jobs.record(job_id).state is State.CANCELLED
        if isinstance(claim, Claim):
            assert not jobs.finish(claim.lease)


def test_cancel_against_release_leaves_the_job_cancelled(jobs, redis_client):
    """A retry that races with a cancel does not requeue the job."""
    for _ in range(RACES):
        lease = jobs.lease()
        run_together(lambda held=lease: jobs.release(held, 60), lambda held=lease: jobs.cancel(held.job_id))
        assert jobs.record(lease.job_id).state is State.CANCELLED
        assert redis_client.zscore(keys.WAITING, lease.job_id) is None


def test_release_against_finish_has_one_outcome(jobs):
    """Of two final writes under one token, only the first takes effect."""
    for _ in range(RACES):
        lease = jobs.lease()
        finished, released = run_together(lambda held=lease: jobs.finish(held), lambda held=lease: jobs.release(held))
        state = jobs.record(lease.job_id).state
        assert finished == (state is State.COMPLETED)
        assert (released is not None) == (state is State.QUEUED)


def test_simultaneous_republishes_of_a_due_job_publish_one_message(jobs, redis_client):
    """Two leaders at a hand-over must not give a job two messages."""
    jobs.report_worker(slots=RACES)
    for count in range(1, RACES // 2):
        lease = jobs.lease()
        jobs.release(lease, 0.001)
        while jobs.store.run(queries.server_time_ms()) <= jobs.record(lease.job_id).retry_at_ms:
            pass
        answers = run_together(*[lambda held=lease: jobs.republish(held.job_id)] * 4)
        assert sorted(answers) == ["early", "early", "early", "queued"]
        assert redis_client.zcard(keys.messages(jobs.message_template.queue)) == count


def test_delete_against_claim_never_leaves_half_a_job(jobs, redis_client):
    """Either the delete is refused, or no key of the job is left."""
    for _ in range(RACES):
        job_id = jobs.in_state(State.COMPLETED)
        deleted, _claim = run_together(lambda j=job_id: jobs.delete(j), lambda j=job_id: jobs.claim(j))
        assert deleted == "deleted"
        assert redis_client.exists(keys.job(job_id), keys.request(job_id), keys.events(job_id)) == 0


def test_appends_against_cancel_keep_log_and_partial_text_equal(jobs, redis_client):
    """The text that a reader of the stream received is the text that the cancelled job keeps."""
    for _ in range(RACES // 2):
        lease = jobs.lease()

        def append(held=lease):
            length = held.log_length
            for number in itertools.count():
                length = jobs.append(held, f"{number} ", log_length=length)
                if length is None:
                    return

        run_together(append, lambda held=lease: jobs.cancel(held.job_id))
        logged = [json.loads(line) for line in redis_client.lrange(keys.events(lease.job_id), 0, -1)]
        answer, _ = jobs.store.run(queries.outcome(lease.job_id))
        assert "".join(event["text"] for event in logged if event["type"] == "delta") == answer.text
        assert logged[-1] == {"type": "cancelled"}


def test_renew_against_finish_leaves_no_lease(jobs, redis_client):
    """A heartbeat that races with the end of a job must not bring its lease back: recovery would find it later."""
    for _ in range(RACES):
        lease = jobs.lease()
        run_together(lambda held=lease: jobs.renew(held), lambda held=lease: jobs.finish(held))
        assert redis_client.zscore(keys.LEASES, lease.job_id) is None


def test_one_worker_at_a_time_is_the_leader(jobs):
    """Of eight simultaneous candidates exactly one becomes the leader of maintenance."""
    answers = run_together(
        *(lambda n=name: jobs.store.run(transitions.become_leader(f"w{n}", 5_000)) for name in range(8))
    )
    assert sum(answers) == 1
