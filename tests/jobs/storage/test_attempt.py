"""The transitions of an attempt: claim, append, renew, finish, fail and release."""

import json
import time

import pytest

from jobs import queries
from jobs.states import FINAL_STATES, State
from jobs.storage import celery_result, keys, transitions
from jobs.storage.transitions import NotClaimed
from tests.jobs.conftest import ANSWER, ERROR, USAGE, index_of, logged_events


def test_claim_returns_lease_token_and_request(jobs, redis_client):
    """A claim changes the state, counts the attempt, takes the message and returns the request."""
    job_id = jobs.create(jobs.new_job(message="the prompt"))

    claim = jobs.claim(job_id)
    assert (claim.lease.token > 0, claim.lease.attempt, claim.request.message) == (True, 1, "the prompt")
    assert 0 < claim.remaining_ms <= 3_600_000
    assert index_of(redis_client, job_id) == [State.IN_PROGRESS]
    assert redis_client.zscore(keys.LEASES, job_id) is not None
    assert redis_client.zcard(keys.messages(jobs.message_template.queue)) == 0
    assert logged_events(redis_client, job_id) == [{"type": "in_progress", "attempt": 1}]


def test_claim_sent_again_gets_the_same_lease(jobs):
    """A claim whose reply was lost does not lose the job: sent again it gets the same lease."""
    job_id = jobs.create()

    assert jobs.claim(job_id, "c").lease == jobs.claim(job_id, "c").lease
    assert jobs.record(job_id).attempts == 1


def test_a_second_message_for_a_running_job_is_harmless(jobs):
    """A duplicated message starts no second attempt."""
    job_id = jobs.create()
    jobs.lease(job_id)

    assert jobs.claim(job_id) == NotClaimed("busy")


@pytest.mark.parametrize("state", sorted(FINAL_STATES))
def test_a_late_message_for_an_ended_job_is_harmless(jobs, state):
    """A message that arrives after the end never restarts a job."""
    assert jobs.claim(jobs.in_state(state)) == NotClaimed("final")


def test_a_message_for_an_unknown_job_is_harmless(jobs):
    """A message whose job was deleted or has expired leads to no claim and no error."""
    assert jobs.claim("job_" + "0" * 32) == NotClaimed("gone")


def test_append_sent_again_appends_once(jobs, redis_client):
    """A batch that is sent again with further events is written without duplicates."""
    lease = jobs.lease()

    assert jobs.append(lease, "a", "b") == 3
    assert jobs.append(lease, "a", "b") == 3
    assert jobs.append(lease, "a", "b", "c") == 4
    assert [event["text"] for event in logged_events(redis_client, lease.job_id)[1:]] == ["a", "b", "c"]


def test_a_write_is_refused_when_redis_has_lost_events_of_the_attempt(jobs, redis_client):
    """A failover can shorten the log. No write may leave a gap in it; the caller learns from where to write again."""
    lease = jobs.lease()
    length = jobs.append(lease, "a", "b")
    redis_client.ltrim(keys.events(lease.job_id), 0, 0)

    behind, pending = transitions.Behind(1), transitions.PendingEvents(length, ())
    assert jobs.append(lease, "c", log_length=length) == behind
    release = transitions.release(lease, None, 0, jobs.message_template, pending=pending)
    assert jobs.store.run(release) == behind
    finish = transitions.finish(lease, ANSWER, State.COMPLETED, jobs.settings, pending)
    assert jobs.store.run(finish) == behind
    assert logged_events(redis_client, lease.job_id) == [{"type": "in_progress", "attempt": 1}]
    assert jobs.append(lease, "a", "b", "c", log_length=1) == 4


def test_a_claim_that_redis_has_lost_shares_its_token_with_no_later_claim(jobs, redis_client):
    """The holder of the lost claim still runs. If both attempts had the same token, both could write."""
    job_id = jobs.create()
    before = {name: redis_client.dump(name) for name in redis_client.keys("*")}
    lost = jobs.lease(job_id)
    redis_client.flushdb()
    for name, value in before.items():
        redis_client.restore(name, 0, value)
    time.sleep(0.002)  # the token is at least the server's clock, in ms

    assert jobs.lease(job_id).token > lost.token
    assert jobs.append(lost, "a") is None


def test_finish_writes_answer_event_counts_and_lifetimes(jobs, redis_client):
    """One write ends the job for every reader, and every key that it leaves behind expires."""
    lease = jobs.lease()
    jobs.append(lease, "forty-two")

    assert jobs.finish(lease)
    job_id = lease.job_id
    assert jobs.record(job_id).state is State.COMPLETED
    assert index_of(redis_client, job_id) == [State.COMPLETED]
    assert celery_result.read(redis_client.get(keys.result(job_id))) == (ANSWER, None)
    assert logged_events(redis_client, job_id)[-1]["type"] == "completed"
    assert redis_client.zscore(keys.LEASES, job_id) is None
    assert redis_client.hget(keys.TOTALS, "completed:chat") == b"1"
    for key in (keys.job(job_id), keys.request(job_id), keys.result(job_id), keys.events(job_id)):
        assert 0 < redis_client.ttl(key) <= jobs.settings.result_ttl_seconds


def test_finish_sent_again_finishes_once(jobs, redis_client):
    """A finish whose reply was lost succeeds when sent again, with one last event and one count."""
    lease = jobs.lease()

    assert jobs.finish(lease)
    assert jobs.finish(lease)
    assert [event["type"] for event in logged_events(redis_client, lease.job_id)] == ["in_progress", "completed"]
    assert redis_client.hget(keys.TOTALS, "completed:chat") == b"1"


def test_fail_records_the_code_and_the_attempt(jobs, redis_client):
    """A failed job reports its error, and each failed attempt is listed."""
    lease = jobs.lease()

    assert jobs.fail(lease)
    assert jobs.record(lease.job_id).error_code == ERROR.code
    assert jobs.store.run(queries.outcome(lease.job_id)) == (None, ERROR)
    (entry,) = map(json.loads, redis_client.lrange(keys.attempts(lease.job_id), 0, -1))
    assert (entry["attempt"], entry["code"]) == (1, ERROR.code)


def test_a_job_released_for_later_waits_without_a_message(jobs, redis_client):
    """A job that waits for its next attempt is queued, reports the time, and cannot be claimed before."""
    lease = jobs.lease()
    messages = redis_client.llen(jobs.message_template.high_list)

    retry_at_ms = jobs.release(lease, 60)
    record = jobs.record(lease.job_id)
    assert record.state is State.QUEUED
    assert record.retry_at_ms == retry_at_ms
    assert jobs.claim(lease.job_id) == NotClaimed("early")
    assert jobs.republish(lease.job_id) == "early"
    assert redis_client.llen(jobs.message_template.high_list) == messages


def test_an_immediate_release_publishes_at_once_if_nobody_waits(jobs, redis_client):
    """A released job has its message again, and a refunded attempt is not counted."""
    jobs.report_worker()
    lease = jobs.lease()

    jobs.release(lease, 0, "refund")
    assert redis_client.zcard(keys.messages(jobs.message_template.queue)) == 1
    assert jobs.lease(lease.job_id).attempt == 1


def test_release_sent_again_releases_once(jobs, redis_client):
    """A release whose reply was lost gives the same time when sent again, and lists one failed attempt."""
    lease = jobs.lease()

    assert jobs.release(lease, 60) == jobs.release(lease, 60)
    assert redis_client.llen(keys.attempts(lease.job_id)) == 1


def test_a_job_past_its_deadline_is_not_started(jobs):
    """A message that arrives after the deadline leads to no attempt."""
    job_id = jobs.create(jobs.new_job(deadline_seconds=0.001))
    while jobs.store.run(queries.overdue(jobs.store.run(queries.server_time_ms()), 10)) != [job_id]:
        pass

    assert jobs.claim(job_id) == NotClaimed("late")


def test_renew_extends_held_leases_and_reports_lost_ones(jobs, redis_client):
    """One call renews all leases of a process, and reports the leases of finished and of cancelled jobs."""
    held, ended, cancelled = jobs.lease(), jobs.lease(), jobs.lease()
    before = redis_client.zscore(keys.LEASES, held.job_id)
    jobs.finish(ended)
    jobs.cancel(cancelled.job_id)

    assert jobs.renew(held, ended, cancelled) == {ended.job_id, cancelled.job_id}
    assert redis_client.zscore(keys.LEASES, held.job_id) >= before
    assert redis_client.zscore(keys.LEASES, ended.job_id) is None
    assert redis_client.zrange(keys.WORKERS, 0, -1) == [b"worker"]


def test_the_record_has_the_time_of_the_latest_output_of_its_attempt(jobs):
    """A provider that is stuck shows by it, long before the idle limit. The next attempt begins without."""
    lease = jobs.lease()
    assert jobs.record(lease.job_id).output_at_ms is None
    jobs.store.run(transitions.append(lease, transitions.PendingEvents(1, (transitions.delta_event("a"),)), USAGE))
    record = jobs.record(lease.job_id)
    assert record.started_at_ms <= record.output_at_ms <= record.started_at_ms + 60_000

    jobs.release(lease)
    assert jobs.lease(lease.job_id).attempt == 2
    assert jobs.record(lease.job_id).output_at_ms is None


def test_a_call_takes_the_place_of_the_jobs_own_call_that_is_not_under_way(jobs, store):
    """A provider that takes one call at a time is called by a job of many calls, and by no other job meanwhile."""
    store.run(
        transitions.configure_targets({"m": ["main/m"]}, {"main/m": {"concurrency": 1}, "main": {"concurrency": 1}})
    )
    store.run(transitions.begin_call("m", 1))  # in place of the claim, which counts in the same way

    assert not store.run(transitions.begin_call("m", 1)).is_open
    assert not store.run(transitions.begin_call("m", 1, lent_target="other/m")).is_open
    turn = store.run(transitions.begin_call("m", 1, None, lent_target="main/m"))
    assert turn.target == "main/m"
    assert not store.run(transitions.begin_call("m", 1, lent_target="main/m")).is_open
    store.run(transitions.end_call(turn, None, has_succeeded=True))
    assert store.run(transitions.begin_call("m", 1, lent_target="main/m")).is_open
