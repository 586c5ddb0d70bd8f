"""Two at once: whatever the order, each race has one outcome that every reader agrees on."""

import itertools
import json

from jobs import queries
from jobs.models import Claim
from jobs.states import State
from jobs.storage import keys, transitions
from tests.jobs.conftest import at_once

RACES = 60


def final_events(redis_client, job_id):
    lines = redis_client.lrange(keys.events(job_id), 0, -1)
    return [event["type"] for event in map(json.loads, lines) if event["type"] in set(State) - {"in_progress"}]


def test_fifty_equal_creates_with_one_key_make_one_job(jobs, redis_client):
    """One Idempotency-Key, fifty callers at once: one job, one message."""
    creates = [transitions.create(jobs.new_job(key="k"), jobs.message_template, jobs.settings) for _ in range(50)]

    answers = at_once(*(lambda c=create: jobs.store.run(c) for create in creates))
    assert len({answer.job_id for answer in answers}) == 1
    assert sum(answer.is_new for answer in answers) == 1
    assert redis_client.llen(jobs.message_template.normal_list) == 1


def test_the_limit_of_the_queue_holds_under_a_rush(jobs):
    """Admission is part of the create: forty at once do not overshoot a limit of ten."""
    jobs.settings = jobs.settings.model_copy(update={"max_queued": 10})

    def create():
        try:
            return jobs.create()
        except Exception as refused:
            return refused

    answers = at_once(*[create] * 40)
    assert sum(isinstance(answer, str) for answer in answers) == 10
    assert jobs.store.run(queries.count(State.QUEUED)) == 10


def test_twenty_claims_of_one_job_give_one_lease(jobs):
    for _ in range(RACES // 4):
        job_id = jobs.create()
        answers = at_once(*[lambda j=job_id: jobs.claim(j)] * 20)
        assert sum(isinstance(answer, Claim) for answer in answers) == 1


def test_cancel_against_finish_has_one_outcome(jobs, redis_client):
    """The state, the only final event and the stored result agree, and a cancel once told stays."""
    for _ in range(RACES):
        lease = jobs.lease()
        finished, cancelled = at_once(lambda held=lease: jobs.finish(held), lambda held=lease: jobs.cancel(held.job_id))
        state = jobs.record(lease.job_id).state
        assert finished == (state is State.COMPLETED)
        assert (cancelled == "cancelled") == (state is State.CANCELLED)
        assert final_events(redis_client, lease.job_id) == [state]
        status = json.loads(redis_client.get(keys.result(lease.job_id)))["status"]
        assert status == ("SUCCESS" if finished else "REVOKED")


def test_cancel_against_claim_leaves_it_cancelled(jobs):
    """Whether the worker was first or not, the end is cancelled and its writes are refused."""
    for _ in range(RACES):
        job_id = jobs.create()
        claim, cancelled = at_once(lambda j=job_id: jobs.claim(j), lambda j=job_id: jobs.cancel(j))
        assert cancelled == "cancelled"
        assert jobs.record(job_id).state is State.CANCELLED
        if isinstance(claim, Claim):
            assert not jobs.finish(claim.lease)


def test_cancel_against_release_leaves_it_cancelled(jobs, redis_client):
    """A retry that races with a cancel does not bring the job back."""
    for _ in range(RACES):
        lease = jobs.lease()
        at_once(lambda held=lease: jobs.release(held, 60), lambda held=lease: jobs.cancel(held.job_id))
        assert jobs.record(lease.job_id).state is State.CANCELLED
        assert redis_client.zscore(keys.WAITING, lease.job_id) is None


def test_release_against_finish_has_one_outcome(jobs):
    """Two settlements under one token: the first one counts."""
    for _ in range(RACES):
        lease = jobs.lease()
        finished, released = at_once(lambda held=lease: jobs.finish(held), lambda held=lease: jobs.release(held))
        state = jobs.record(lease.job_id).state
        assert finished == (state is State.COMPLETED)
        assert (released is not None) == (state is State.QUEUED)


def test_two_rings_of_a_due_job_make_one_bell(jobs, redis_client):
    for count in range(1, RACES // 2):
        lease = jobs.lease()
        jobs.release(lease, 0.001)
        while jobs.store.run(queries.server_time_ms()) <= jobs.record(lease.job_id).retry_at_ms:
            pass
        answers = at_once(*[lambda held=lease: jobs.republish(held.job_id)] * 4)
        assert sorted(answers) == ["early", "early", "early", "republished"]
        assert redis_client.llen(jobs.message_template.high_list) == count


def test_delete_against_claim_never_leaves_half_a_job(jobs, redis_client):
    """Either the delete was refused, or nothing of the job is left."""
    for _ in range(RACES):
        job_id = jobs.in_state(State.COMPLETED)
        deleted, _claim = at_once(lambda j=job_id: jobs.delete(j), lambda j=job_id: jobs.claim(j))
        assert deleted == "deleted"
        assert redis_client.exists(keys.job(job_id), keys.request(job_id), keys.events(job_id)) == 0


def test_appends_against_cancel_keep_the_log_and_the_partial_text_equal(jobs, redis_client):
    """What a reader of the stream saw is what the cancelled job keeps."""
    for _ in range(RACES // 2):
        lease = jobs.lease()

        def append(held=lease):
            length = held.log_length
            for number in itertools.count():
                length = jobs.append(held, f"{number} ", log_length=length)
                if length is None:
                    return

        at_once(append, lambda held=lease: jobs.cancel(held.job_id))
        logged = [json.loads(line) for line in redis_client.lrange(keys.events(lease.job_id), 0, -1)]
        answer, _ = jobs.store.run(queries.outcome(lease.job_id))
        assert "".join(event["text"] for event in logged if event["type"] == "delta") == answer.text
        assert logged[-1] == {"type": "cancelled"}


def test_renew_against_finish_leaves_no_lease(jobs, redis_client):
    for _ in range(RACES):
        lease = jobs.lease()
        at_once(lambda held=lease: jobs.renew(held), lambda held=lease: jobs.finish(held))
        assert redis_client.zscore(keys.LEASES, lease.job_id) is None


def test_one_worker_at_a_time_has_the_duties(jobs):
    answers = at_once(*(lambda n=name: jobs.store.run(transitions.become_leader(f"w{n}", 5_000)) for name in range(8)))
    assert sum(answers) == 1
