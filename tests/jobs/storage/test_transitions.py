"""Each transition: what it writes, what it refuses, and that it may be sent again."""

import json
import time

import pytest

from jobs import queries
from jobs.errors import IdempotencyConflict, JobNotFound, QueueFull
from jobs.idempotency import fingerprint, idempotency_digest
from jobs.kinds.chat import ChatTask
from jobs.models import Lease
from jobs.states import TRANSITIONS, State
from jobs.storage import celery_result, keys, transitions
from jobs.storage.scripts import script_names
from jobs.storage.transitions import NotClaimed
from tests.jobs.conftest import ANSWER, ERROR

ALL_STATES = list(State)


def index_of(redis_client, job_id):
    """The states whose index contains the job: always exactly its own."""
    return [state for state in State if redis_client.zscore(keys.index(state), job_id) is not None]


def events(redis_client, job_id):
    return [json.loads(line) for line in redis_client.lrange(keys.events(job_id), 0, -1)]


def test_create_writes_record_index_counts_and_message_in_one_step(jobs, redis_client):
    """After a create the job has a record, an index entry and a count, and its message waits for a worker."""
    job_id = jobs.create(jobs.new_job(message="first words of a prompt"))

    record = jobs.record(job_id)
    assert (record.state, record.attempts, record.version) == (State.QUEUED, 0, 1)
    assert record.preview == "first words of a prompt"
    assert index_of(redis_client, job_id) == [State.QUEUED]
    assert redis_client.hget(keys.TOTALS, "created") == b"1"
    message = json.loads(redis_client.lindex(jobs.message_template.normal_list, -1))
    assert message["id"] == job_id
    assert message["tag"] != job_id


def test_create_twice_with_one_id_creates_once(jobs, redis_client):
    """A create whose reply was lost may be sent again: it leads to one job and one message."""
    job = jobs.new_job()

    assert jobs.create(job) == jobs.create(job) == job.job_id
    assert redis_client.llen(jobs.message_template.normal_list) == 1


def test_the_same_key_and_body_create_one_job(jobs, redis_client):
    """A repeated Idempotency-Key leads back to the job that its first use created."""
    first = jobs.create(jobs.new_job(key="k"))

    again = jobs.store.run(transitions.create(jobs.new_job(key="k"), jobs.message_template, jobs.settings))
    assert again == transitions.Created(first)
    assert redis_client.llen(jobs.message_template.normal_list) == 1


def test_the_same_key_with_another_body_is_refused(jobs):
    """One Idempotency-Key belongs to one request; another request under it is a conflict."""
    jobs.create(jobs.new_job(key="k"))

    with pytest.raises(IdempotencyConflict) as refused:
        jobs.create(jobs.new_job(key="k", message="another"))
    assert refused.value.param == "Idempotency-Key"


def test_a_full_queue_writes_nothing(jobs, redis_client):
    """Beyond the limit a create is refused with a time to come back, and leaves no key behind."""
    jobs.settings = jobs.settings.model_copy(update={"max_queued": 2})
    jobs.create()
    jobs.create()
    before = redis_client.dbsize()

    with pytest.raises(QueueFull) as refused:
        jobs.create()
    assert refused.value.retry_after_seconds > 0
    assert redis_client.dbsize() == before


def test_claim_returns_lease_token_and_request(jobs, redis_client):
    """A claim changes the state, counts the attempt, takes the message and returns the request."""
    job_id = jobs.create(jobs.new_job(message="the prompt"))

    claim = jobs.claim(job_id)
    assert (claim.lease.token > 0, claim.lease.attempt, claim.request.message) == (True, 1, "the prompt")
    assert 0 < claim.remaining_ms <= 3_600_000
    assert index_of(redis_client, job_id) == [State.IN_PROGRESS]
    assert redis_client.zscore(keys.LEASES, job_id) is not None
    assert redis_client.zcard(keys.messages(jobs.message_template.queue)) == 0
    assert events(redis_client, job_id) == [{"type": "in_progress", "attempt": 1}]


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


@pytest.mark.parametrize("state", [state for state in ALL_STATES if state.is_final])
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
    assert [event["text"] for event in events(redis_client, lease.job_id)[1:]] == ["a", "b", "c"]


def test_append_is_refused_when_redis_has_lost_events_of_the_attempt(jobs, redis_client):
    """After a crash of Redis' host the log may be shorter than the attempt left it: no gap is ever written."""
    lease = jobs.lease()
    length = jobs.append(lease, "a", "b")
    redis_client.ltrim(keys.events(lease.job_id), 0, 0)

    assert jobs.append(lease, "c", log_length=length) is None
    assert events(redis_client, lease.job_id) == [{"type": "in_progress", "attempt": 1}]


def test_a_claim_that_redis_has_lost_shares_its_token_with_no_later_claim(jobs, redis_client):
    """The holder of a lost claim still runs: with equal tokens both attempts could write."""
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
    assert events(redis_client, job_id)[-1]["type"] == "completed"
    assert redis_client.zscore(keys.LEASES, job_id) is None
    assert redis_client.hget(keys.TOTALS, "completed") == b"1"
    for key in (keys.job(job_id), keys.request(job_id), keys.result(job_id), keys.events(job_id)):
        assert 0 < redis_client.ttl(key) <= jobs.settings.result_ttl_seconds


def test_finish_sent_again_finishes_once(jobs, redis_client):
    """A finish whose reply was lost succeeds when sent again, with one last event and one count."""
    lease = jobs.lease()

    assert jobs.finish(lease)
    assert jobs.finish(lease)
    assert [event["type"] for event in events(redis_client, lease.job_id)] == ["in_progress", "completed"]
    assert redis_client.hget(keys.TOTALS, "completed") == b"1"


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


def test_an_immediate_release_publishes_with_high_priority(jobs, redis_client):
    """A released job goes before the backlog, and a refunded attempt is not counted."""
    lease = jobs.lease()

    jobs.release(lease, 0, "refund")
    assert redis_client.llen(jobs.message_template.high_list) == 1
    assert jobs.lease(lease.job_id).attempt == 1


def test_release_sent_again_releases_once(jobs, redis_client):
    """A release whose reply was lost gives the same time when sent again, and lists one failed attempt."""
    lease = jobs.lease()

    assert jobs.release(lease, 60) == jobs.release(lease, 60)
    assert redis_client.llen(keys.attempts(lease.job_id)) == 1


def test_republish_publishes_for_a_due_job_once(jobs, redis_client):
    """A job whose wait is over gets exactly one message."""
    lease = jobs.lease()
    jobs.release(lease, 0.001)
    while (answer := jobs.republish(lease.job_id)) == "early":
        pass

    assert answer == "republished"
    assert jobs.republish(lease.job_id) == "early"
    assert redis_client.llen(jobs.message_template.high_list) == 1
    assert jobs.lease(lease.job_id).attempt == 2


def test_a_lost_message_is_found_and_a_long_queue_is_not_mistaken_for_one(jobs, redis_client):
    """A message is lost when a later one led to a claim or when none is left; a job behind others only waits."""
    first, second, third = jobs.create(), jobs.create(), jobs.create()
    assert jobs.undelivered() == []

    jobs.lease(second)
    assert jobs.undelivered() == [first]
    redis_client.delete(jobs.message_template.normal_list)
    assert jobs.undelivered() == [first, third]
    assert jobs.undelivered(messages_left=1) == [first]
    assert jobs.undelivered(messages_left=0) == [first, third]


def test_a_lost_message_is_republished_only_when_it_is_old(jobs, redis_client):
    """A young message may still be under way; an old one is replaced once, before the backlog."""
    job_id = jobs.create()

    assert jobs.republish(job_id, lost_after_seconds=3_600) == "early"
    while (answer := jobs.republish(job_id, lost_after_seconds=0.01)) == "early":
        pass
    assert answer == "republished"
    assert jobs.republish(job_id, lost_after_seconds=3_600) == "early"
    assert redis_client.llen(jobs.message_template.high_list) == 1
    assert redis_client.zcard(keys.messages(jobs.message_template.queue)) == 0


def test_recovery_releases_only_an_expired_lease(jobs, redis_client):
    """A live holder keeps its job; a lost worker's job is queued again, and attempt and worker loss are counted."""
    lease = jobs.lease()

    assert jobs.release(lease, 0, "worker_losses") is None
    assert jobs.record(lease.job_id).state is State.IN_PROGRESS
    redis_client.zadd(keys.LEASES, {lease.job_id: 1})
    assert jobs.release(lease, 0, "worker_losses") is not None
    record = jobs.record(lease.job_id)
    assert (record.state, record.attempts, record.worker_losses, record.failures) == (State.QUEUED, 1, 1, 0)


@pytest.mark.parametrize(("precondition", "state"), [("expired", State.IN_PROGRESS), ("queued", State.QUEUED)])
def test_recovery_fails_only_jobs_that_meet_its_precondition(jobs, redis_client, precondition, state):
    """Recovery may fail a job with an expired lease, or a queued one, under the record's token, and no other job."""
    for other in State:
        job_id = jobs.in_state(other)
        if other is State.IN_PROGRESS:
            redis_client.zadd(keys.LEASES, {job_id: 1})
        lease = Lease(
            job_id=job_id, queue=jobs.message_template.queue, token=jobs.record(job_id).token, attempt=1, log_length=0
        )
        ended = jobs.fail(lease, precondition)
        assert ended == (other in {state, State.FAILED})
        assert jobs.record(job_id).state is (State.FAILED if other is state else other)


def test_a_job_past_its_deadline_is_not_started(jobs):
    """A message that arrives after the deadline leads to no attempt."""
    job_id = jobs.create(jobs.new_job(deadline_seconds=0.001))
    while jobs.store.run(queries.overdue(jobs.store.run(queries.server_time_ms()), 10)) != [job_id]:
        pass

    assert jobs.claim(job_id) == NotClaimed("late")


def test_cancel_of_a_queued_job_removes_it_from_the_queue(jobs, redis_client):
    """A cancelled job counts in no queue, and its message leads to no claim."""
    job_id = jobs.create()

    assert jobs.cancel(job_id) == "cancelled"
    assert index_of(redis_client, job_id) == [State.CANCELLED]
    assert redis_client.zcard(keys.messages(jobs.message_template.queue)) == 0
    assert jobs.claim(job_id) == NotClaimed("final")


def test_cancel_of_a_running_job_keeps_the_text_of_its_last_attempt(jobs):
    """The partial text is that of the last attempt, never the texts of two attempts joined."""
    first = jobs.lease()
    jobs.append(first, "lost ")
    jobs.release(first)
    second = jobs.lease(first.job_id)
    jobs.append(second, "kept ", 'ünïcödé 🎈 \\ "quoted"')

    assert jobs.cancel(first.job_id) == "cancelled"
    answer, error = jobs.store.run(queries.outcome(first.job_id))
    assert answer.text == 'kept ünïcödé 🎈 \\ "quoted"'
    assert error is None
    assert not jobs.finish(second)


@pytest.mark.parametrize("state", [state for state in ALL_STATES if state.is_final])
def test_cancel_of_an_ended_job_changes_nothing(jobs, state):
    """A cancel never changes a final state."""
    job_id = jobs.in_state(state)
    before = jobs.record(job_id)

    assert jobs.cancel(job_id) == ("cancelled" if state is State.CANCELLED else "final")
    assert jobs.record(job_id) == before


def test_delete_leaves_no_key_behind(jobs, redis_client):
    """A deleted job is gone from record, indexes and result backend, and its Idempotency-Key is free."""
    job_id = jobs.create(jobs.new_job(key="k"))
    jobs.fail(jobs.lease(job_id))

    assert jobs.delete(job_id) == "deleted"
    assert jobs.delete(job_id) == "gone"
    assert [key for key in redis_client.scan_iter() if job_id.encode() in key] == []
    assert index_of(redis_client, job_id) == []
    assert redis_client.zscore(keys.INDEX_ALL, job_id) is None
    assert jobs.store.run(transitions.create(jobs.new_job(key="k"), jobs.message_template, jobs.settings)).is_new


@pytest.mark.parametrize("state", [State.QUEUED, State.IN_PROGRESS])
def test_delete_of_an_active_job_is_refused(jobs, state):
    """A job that is queued or in progress must be cancelled before it can be deleted."""
    job_id = jobs.in_state(state)

    assert jobs.delete(job_id) == "active"
    assert jobs.record(job_id).state is state


def test_renew_extends_held_leases_and_reports_lost_ones(jobs, redis_client):
    """One call renews all leases of a process; it reports those of ended and of cancelled jobs."""
    held, ended, cancelled = jobs.lease(), jobs.lease(), jobs.lease()
    before = redis_client.zscore(keys.LEASES, held.job_id)
    jobs.finish(ended)
    jobs.cancel(cancelled.job_id)

    assert jobs.renew(held, ended, cancelled) == {ended.job_id, cancelled.job_id}
    assert redis_client.zscore(keys.LEASES, held.job_id) >= before
    assert redis_client.zscore(keys.LEASES, ended.job_id) is None
    assert redis_client.zrange(keys.WORKERS, 0, -1) == [b"worker"]


@pytest.mark.parametrize("write", ["append", "finish", "fail", "release", "renew"])
def test_a_worker_that_lost_its_lease_changes_nothing(jobs, redis_client, write):
    """After a later claim the earlier token is void for every write."""
    old = jobs.lease()
    jobs.release(old)
    new = jobs.lease(old.job_id)
    before = (jobs.record(old.job_id), events(redis_client, old.job_id))

    refused = {
        "append": lambda: jobs.append(old, "x", log_length=new.log_length) is None,
        "finish": lambda: jobs.finish(old) is False,
        "fail": lambda: jobs.fail(old) is False,
        "release": lambda: jobs.release(old) is None,
        "renew": lambda: jobs.renew(old) == {old.job_id},
    }[write]()
    assert refused
    assert (jobs.record(old.job_id), events(redis_client, old.job_id)) == before


@pytest.mark.parametrize("state", ALL_STATES)
@pytest.mark.parametrize("transition", ["claim", "cancel", "finish", "release"])
def test_the_scripts_make_exactly_the_moves_of_the_table(jobs, state, transition):
    """Every transition in every state moves the job as TRANSITIONS allows, or not at all."""
    job_id = jobs.in_state(state)
    token = jobs.record(job_id).token
    holder = Lease(job_id=job_id, queue=jobs.message_template.queue, token=token, attempt=1, log_length=1)
    move = {
        "claim": lambda: jobs.claim(job_id),
        "cancel": lambda: jobs.cancel(job_id),
        "finish": lambda: jobs.fail(holder, "queued") if state is State.QUEUED else jobs.finish(holder),
        "release": lambda: jobs.release(holder),
    }[transition]

    move()
    after = jobs.record(job_id).state
    legal = {target for source, target in TRANSITIONS[transition] if source is state}
    assert after in legal if legal else after is state


def test_every_lua_file_has_a_transition_or_query_of_its_name():
    """No script is left that nothing in Python can reach."""
    for name in script_names():
        is_for_documents = hasattr(transitions.document, name.removeprefix("document_"))
        assert (
            hasattr(transitions, name) or is_for_documents or name in {"queue_position", "leader", "document_update"}
        ), name


def test_a_retry_creates_one_new_job_that_the_failed_job_refers_to(jobs):
    """The failed job stays failed, both jobs refer to each other, and a second retry finds the first."""
    failed = jobs.in_state(State.FAILED)
    repeat = jobs.new_job().model_copy(update={"retry_of": failed})
    again = jobs.new_job().model_copy(update={"retry_of": failed})

    assert jobs.create(repeat) == jobs.create(again) == repeat.job_id
    assert jobs.record(repeat.job_id).retry_of == failed
    assert (jobs.record(failed).state, jobs.record(failed).retried_as) == (State.FAILED, repeat.job_id)


def test_a_retry_of_a_deleted_job_creates_nothing(jobs, redis_client):
    """A retry that races with a delete must not leave a partial record, which would never expire."""
    failed = jobs.in_state(State.FAILED)
    jobs.delete(failed)
    before = redis_client.dbsize()

    with pytest.raises(JobNotFound):
        jobs.create(jobs.new_job().model_copy(update={"retry_of": failed}))
    assert redis_client.dbsize() == before


def test_deleting_an_old_job_keeps_a_key_that_leads_to_a_newer_job(jobs, redis_client):
    """A key that expired and was used again belongs to the newer job."""
    first = jobs.in_state(State.FAILED)
    redis_client.hset(keys.job(first), "idempotency", idempotency_digest("k"))
    second = jobs.create(jobs.new_job(key="k"))

    assert jobs.delete(first) == "deleted"
    assert jobs.create(jobs.new_job(key="k")) == second


def test_a_resent_call_finds_the_same_job_after_a_lost_reply(jobs):
    """An equal call that creates a job in between does not divert the resent call."""

    def call(resend_count):
        return jobs.new_job(key="k").model_copy(update={"resend_count": resend_count})

    again = call(1)
    jobs.create(call(0))
    found = jobs.create(again)
    jobs.create(call(0))

    assert jobs.create(again) == found


def test_the_order_of_names_and_empty_values_do_not_change_the_fingerprint(jobs):
    """Two spellings of one request under one Idempotency-Key are one request."""
    request = {"kind": "chat", "message": "m"}
    first = ChatTask.model_validate(request | {"metadata": {"a": "1", "b": "2"}, "limits": {}})
    other = ChatTask.model_validate(request | {"metadata": {"b": "2", "a": "1"}})

    assert fingerprint(first) == fingerprint(other)
    assert fingerprint(first) != fingerprint(ChatTask.model_validate(request))


def test_a_temperature_of_zero_changes_the_fingerprint():
    """Zero is a value; only empty objects and lists count as absent."""
    request = {"kind": "chat", "message": "m"}

    assert fingerprint(ChatTask.model_validate(request | {"temperature": 0.0})) != fingerprint(
        ChatTask.model_validate(request)
    )
