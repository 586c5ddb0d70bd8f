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
    """The states in whose index the job stands: always exactly its own."""
    return [state for state in State if redis_client.zscore(keys.index(state), job_id) is not None]


def events(redis_client, job_id):
    return [json.loads(line) for line in redis_client.lrange(keys.events(job_id), 0, -1)]


def test_create_writes_record_index_counts_and_bell_in_one_step(jobs, redis_client):
    """After create the job is on record, in its index, counted, and its message waits for a worker."""
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
    """A create whose reply was lost may be sent again."""
    job = jobs.new_job()

    assert jobs.create(job) == jobs.create(job) == job.job_id
    assert redis_client.llen(jobs.message_template.normal_list) == 1


def test_the_same_key_and_body_make_one_job(jobs, redis_client):
    """An Idempotency-Key leads back to the job that it made."""
    first = jobs.create(jobs.new_job(key="k"))

    again = jobs.store.run(transitions.create(jobs.new_job(key="k"), jobs.message_template, jobs.settings))
    assert again == transitions.Created(first)
    assert redis_client.llen(jobs.message_template.normal_list) == 1


def test_the_same_key_with_another_body_is_refused(jobs):
    """A key stands for one request."""
    jobs.create(jobs.new_job(key="k"))

    with pytest.raises(IdempotencyConflict) as refused:
        jobs.create(jobs.new_job(key="k", message="another"))
    assert refused.value.param == "Idempotency-Key"


def test_a_full_queue_writes_nothing(jobs, redis_client):
    """Above the limit a create is refused with a time to come back, and leaves no trace."""
    jobs.settings = jobs.settings.model_copy(update={"max_queued": 2})
    jobs.create()
    jobs.create()
    before = redis_client.dbsize()

    with pytest.raises(QueueFull) as refused:
        jobs.create()
    assert refused.value.retry_after_seconds > 0
    assert redis_client.dbsize() == before


def test_claim_gives_lease_token_and_request(jobs, redis_client):
    """A claim moves the job, counts the attempt and hands over the request."""
    job_id = jobs.create(jobs.new_job(message="the prompt"))

    claim = jobs.claim(job_id)
    assert (claim.lease.token > 0, claim.lease.attempt, claim.request.message) == (True, 1, "the prompt")
    assert 0 < claim.remaining_ms <= 3_600_000
    assert index_of(redis_client, job_id) == [State.IN_PROGRESS]
    assert redis_client.zscore(keys.LEASES, job_id) is not None
    assert redis_client.zcard(keys.messages(jobs.message_template.queue)) == 0
    assert events(redis_client, job_id) == [{"type": "in_progress", "attempt": 1}]


def test_claim_sent_again_gets_the_same_lease(jobs):
    """A claim whose reply was lost does not lose the job."""
    job_id = jobs.create()

    assert jobs.claim(job_id, "c").lease == jobs.claim(job_id, "c").lease
    assert jobs.record(job_id).attempts == 1


def test_a_second_bell_for_a_running_job_is_harmless(jobs):
    """Only one attempt runs at a time."""
    job_id = jobs.create()
    jobs.lease(job_id)

    assert jobs.claim(job_id) == NotClaimed("busy")


@pytest.mark.parametrize("state", [state for state in ALL_STATES if state.is_final])
def test_a_late_bell_for_an_ended_job_is_harmless(jobs, state):
    """What has ended stays so."""
    assert jobs.claim(jobs.in_state(state)) == NotClaimed("final")


def test_a_bell_for_no_job_is_harmless(jobs):
    assert jobs.claim("job_" + "0" * 32) == NotClaimed("gone")


def test_append_sent_again_appends_once(jobs, redis_client):
    """A batch whose reply was lost, sent again with more, is written without doubles."""
    lease = jobs.lease()

    assert jobs.append(lease, "a", "b") == 3
    assert jobs.append(lease, "a", "b") == 3
    assert jobs.append(lease, "a", "b", "c") == 4
    assert [event["text"] for event in events(redis_client, lease.job_id)[1:]] == ["a", "b", "c"]


def test_append_is_refused_when_redis_has_lost_the_attempts_last_events(jobs, redis_client):
    """After a host's crash the log may be shorter than the attempt left it: no gap, and nothing but events in it."""
    lease = jobs.lease()
    length = jobs.append(lease, "a", "b")
    redis_client.ltrim(keys.events(lease.job_id), 0, 0)

    assert jobs.append(lease, "c", log_length=length) is None
    assert events(redis_client, lease.job_id) == [{"type": "in_progress", "attempt": 1}]


def test_a_claim_that_redis_has_lost_shares_its_token_with_no_later_one(jobs, redis_client):
    """Its holder still runs: were the tokens the same, both would write."""
    job_id = jobs.create()
    before = {name: redis_client.dump(name) for name in redis_client.keys("*")}
    lost = jobs.lease(job_id)
    redis_client.flushdb()
    for name, value in before.items():
        redis_client.restore(name, 0, value)
    time.sleep(0.002)  # the token is of the server's clock, in ms

    assert jobs.lease(job_id).token > lost.token
    assert jobs.append(lost, "a") is None


def test_finish_writes_answer_event_counts_and_lifetimes(jobs, redis_client):
    """One write ends the job for every reader; all that it leaves behind expires."""
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
    lease = jobs.lease()

    assert jobs.finish(lease)
    assert jobs.finish(lease)
    assert [event["type"] for event in events(redis_client, lease.job_id)] == ["in_progress", "completed"]
    assert redis_client.hget(keys.TOTALS, "completed") == b"1"


def test_fail_keeps_code_and_the_attempt(jobs, redis_client):
    """A failed job says why, and each failed attempt is listed."""
    lease = jobs.lease()

    assert jobs.fail(lease)
    assert jobs.record(lease.job_id).error_code == ERROR.code
    assert jobs.store.run(queries.outcome(lease.job_id)) == (None, ERROR)
    (entry,) = map(json.loads, redis_client.lrange(keys.attempts(lease.job_id), 0, -1))
    assert (entry["attempt"], entry["code"]) == (1, ERROR.code)


def test_release_for_later_waits_and_holds_no_bell(jobs, redis_client):
    """A job that waits for its next attempt is queued, says when, and cannot be claimed before."""
    lease = jobs.lease()
    messages = redis_client.llen(jobs.message_template.high_list)

    retry_at_ms = jobs.release(lease, 60)
    record = jobs.record(lease.job_id)
    assert record.state is State.QUEUED
    assert record.retry_at_ms == retry_at_ms
    assert jobs.claim(lease.job_id) == NotClaimed("early")
    assert jobs.republish(lease.job_id) == "early"
    assert redis_client.llen(jobs.message_template.high_list) == messages


def test_release_at_once_rings_at_the_front(jobs, redis_client):
    """A job given back goes before the backlog, and a refunded attempt is not counted."""
    lease = jobs.lease()

    jobs.release(lease, 0, "refund")
    assert redis_client.llen(jobs.message_template.high_list) == 1
    assert jobs.lease(lease.job_id).attempt == 1


def test_release_sent_again_releases_once(jobs, redis_client):
    lease = jobs.lease()

    assert jobs.release(lease, 60) == jobs.release(lease, 60)
    assert redis_client.llen(keys.attempts(lease.job_id)) == 1


def test_ring_rings_a_due_job_once(jobs, redis_client):
    """A job whose wait is over gets exactly one message."""
    lease = jobs.lease()
    jobs.release(lease, 0.001)
    while (answer := jobs.republish(lease.job_id)) == "early":
        pass

    assert answer == "republished"
    assert jobs.republish(lease.job_id) == "early"
    assert redis_client.llen(jobs.message_template.high_list) == 1
    assert jobs.lease(lease.job_id).attempt == 2


def test_a_lost_bell_is_found_and_a_long_queue_is_not_mistaken_for_one(jobs, redis_client):
    """Overtaken by a later claim, or no message left at all: the message is lost. Behind others: it only waits."""
    first, second, third = jobs.create(), jobs.create(), jobs.create()
    assert jobs.undelivered() == []

    jobs.lease(second)
    assert jobs.undelivered() == [first]
    redis_client.delete(jobs.message_template.normal_list)
    assert jobs.undelivered() == [first, third]
    assert jobs.undelivered(messages_left=1) == [first]
    assert jobs.undelivered(messages_left=0) == [first, third]


def test_a_lost_bell_is_rung_again_only_when_it_is_old(jobs, redis_client):
    """A message that is under way is young; an old one is republished once, before the backlog."""
    job_id = jobs.create()

    assert jobs.republish(job_id, lost_after_seconds=3_600) == "early"
    while (answer := jobs.republish(job_id, lost_after_seconds=0.01)) == "early":
        pass
    assert answer == "republished"
    assert jobs.republish(job_id, lost_after_seconds=3_600) == "early"
    assert redis_client.llen(jobs.message_template.high_list) == 1
    assert redis_client.zcard(keys.messages(jobs.message_template.queue)) == 0


def test_recovery_takes_back_only_an_expired_lease(jobs, redis_client):
    """A live holder keeps its job; a dead one's is queued again, the attempt and the death counted."""
    lease = jobs.lease()

    assert jobs.release(lease, 0, "worker_losses") is None
    assert jobs.record(lease.job_id).state is State.IN_PROGRESS
    redis_client.zadd(keys.LEASES, {lease.job_id: 1})
    assert jobs.release(lease, 0, "worker_losses") is not None
    record = jobs.record(lease.job_id)
    assert (record.state, record.attempts, record.worker_losses, record.failures) == (State.QUEUED, 1, 1, 0)


@pytest.mark.parametrize(("precondition", "state"), [("expired", State.IN_PROGRESS), ("queued", State.QUEUED)])
def test_recovery_ends_only_what_it_says(jobs, redis_client, precondition, state):
    """An expired lease or a queued job may be failed by recovery, under the record's token; nothing else."""
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


def test_a_job_past_its_deadline_is_not_begun(jobs):
    job_id = jobs.create(jobs.new_job(deadline_seconds=0.001))
    while jobs.store.run(queries.overdue(jobs.store.run(queries.server_time_ms()), 10)) != [job_id]:
        pass

    assert jobs.claim(job_id) == NotClaimed("late")


def test_cancel_of_a_queued_job_takes_its_place_in_line(jobs, redis_client):
    job_id = jobs.create()

    assert jobs.cancel(job_id) == "cancelled"
    assert index_of(redis_client, job_id) == [State.CANCELLED]
    assert redis_client.zcard(keys.messages(jobs.message_template.queue)) == 0
    assert jobs.claim(job_id) == NotClaimed("final")


def test_cancel_of_a_running_job_keeps_the_text_of_its_last_attempt(jobs):
    """Partial text is what the last attempt had written, never two attempts run together."""
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
    job_id = jobs.in_state(state)

    assert jobs.delete(job_id) == "active"
    assert jobs.record(job_id).state is state


def test_renew_keeps_what_is_held_and_names_what_is_lost(jobs, redis_client):
    """One call for all leases of a process; the ended, the cancelled and the deleted are told."""
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
def test_the_table_of_moves_is_what_the_verbs_do(jobs, state, transition):
    """Every transition in every state: it moves the job as the table says, or not at all."""
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


def test_every_lua_file_is_a_verb_with_a_header():
    """Its header names keys and answers, and every script is reachable from Python."""
    for name in script_names():
        is_a_documents = hasattr(transitions.document, name.removeprefix("document_"))
        assert (
            hasattr(transitions, name) or is_a_documents or name in {"queue_position", "leader", "document_update"}
        ), name


def test_a_retry_is_a_new_job_made_once_and_the_failed_one_says_so(jobs):
    """The failed job stays failed; both know of each other; a second click finds the first."""
    failed = jobs.in_state(State.FAILED)
    repeat = jobs.new_job().model_copy(update={"retry_of": failed})
    again = jobs.new_job().model_copy(update={"retry_of": failed})

    assert jobs.create(repeat) == jobs.create(again) == repeat.job_id
    assert jobs.record(repeat.job_id).retry_of == failed
    assert (jobs.record(failed).state, jobs.record(failed).retried_as) == (State.FAILED, repeat.job_id)


def test_a_retry_of_a_deleted_job_makes_nothing(jobs, redis_client):
    """Whoever deletes it first: no half a record is left that would never expire."""
    failed = jobs.in_state(State.FAILED)
    jobs.delete(failed)
    before = redis_client.dbsize()

    with pytest.raises(JobNotFound):
        jobs.create(jobs.new_job().model_copy(update={"retry_of": failed}))
    assert redis_client.dbsize() == before


def test_deleting_an_old_job_leaves_a_key_that_leads_to_a_newer_one(jobs, redis_client):
    """The key's time was up, it made another job, and only then was the first one deleted."""
    first = jobs.in_state(State.FAILED)
    redis_client.hset(keys.job(first), "idempotency", idempotency_digest("k"))
    second = jobs.create(jobs.new_job(key="k"))

    assert jobs.delete(first) == "deleted"
    assert jobs.create(jobs.new_job(key="k")) == second


def test_a_call_that_was_sent_again_finds_the_same_job_when_the_reply_was_lost(jobs):
    """Also when an equal call has made a job in between."""

    def call(resend_count):
        return jobs.new_job(key="k").model_copy(update={"resend_count": resend_count})

    again = call(1)
    jobs.create(call(0))
    found = jobs.create(again)
    jobs.create(call(0))

    assert jobs.create(again) == found


def test_the_order_of_names_and_what_is_empty_make_no_other_request(jobs):
    """Two spellings of one request under one Idempotency-Key are one request."""
    request = {"kind": "chat", "message": "m"}
    one = ChatTask.model_validate(request | {"metadata": {"a": "1", "b": "2"}, "limits": {}})
    other = ChatTask.model_validate(request | {"metadata": {"b": "2", "a": "1"}})

    assert fingerprint(one) == fingerprint(other)
    assert fingerprint(one) != fingerprint(ChatTask.model_validate(request))


def test_a_temperature_of_nought_is_another_request_than_none():
    """Nought is said; only what is empty is not."""
    request = {"kind": "chat", "message": "m"}

    assert fingerprint(ChatTask.model_validate(request | {"temperature": 0.0})) != fingerprint(
        ChatTask.model_validate(request)
    )
