"""The size of the requests of all jobs that have not ended: exact after every transition, limited, and repaired."""

import pytest

from jobs import queries
from jobs.errors import QueueFull
from jobs.states import State
from jobs.storage import keys, transitions
from jobs.tenant import DEFAULT_TENANT
from tests.jobs.conftest import run_together

TEXT = "ü€" * 50  # more bytes than characters


@pytest.fixture
def create(jobs):
    return lambda **options: jobs.create(jobs.new_job(message=TEXT, **options))


@pytest.fixture
def size(jobs):
    return lambda: jobs.store.run(queries.request_bytes())


@pytest.fixture
def size_of_one(redis_client):
    """Of the request of a job."""
    return lambda job_id: redis_client.strlen(keys.request(job_id))


@pytest.fixture
def audit(jobs):
    return lambda: jobs.store.run(transitions.audit_sizes([DEFAULT_TENANT]))


def end_by_cancel(jobs, job_id):
    jobs.cancel(job_id)


def end_by_finish(jobs, job_id):
    jobs.finish(jobs.lease(job_id))


def end_by_failure_after_a_retry(jobs, job_id):
    jobs.release(jobs.lease(job_id))
    jobs.fail(jobs.lease(job_id))


def end_by_cancel_while_running(jobs, job_id):
    jobs.lease(job_id)
    jobs.cancel(job_id)


ENDS = [end_by_cancel, end_by_finish, end_by_failure_after_a_retry, end_by_cancel_while_running]


@pytest.mark.parametrize("end", ENDS)
def test_a_request_counts_from_its_creation_to_the_end_of_its_job(jobs, create, size, size_of_one, end):
    """However the job ends, and however often the end is repeated. A deletion of the ended job changes nothing."""
    staying, ending = create(), create()
    assert size() == 2 * size_of_one(ending) > 2 * 250

    end(jobs, ending)
    jobs.cancel(ending)
    assert size() == size_of_one(staying)
    jobs.delete(ending)
    assert size() == size_of_one(staying)


def test_a_running_or_waiting_job_counts(jobs, create, size, size_of_one):
    """Its request is still stored without an end."""
    job_id = create()
    lease = jobs.lease(job_id)
    running = size()
    jobs.release(lease, wait_seconds=60)

    assert running == size() == size_of_one(job_id)


def test_equal_requests_that_find_one_job_count_once(jobs, size, size_of_one):
    """A repeated key, a resend, and a create whose reply was lost."""
    job = jobs.new_job(key="k", message=TEXT)
    job_id = jobs.create(job)
    resent = [jobs.new_job(key="r").model_copy(update={"resend_count": count}) for count in (0, 1, 2)]

    assert jobs.create(job) == jobs.create(jobs.new_job(key="k", message=TEXT)) == job_id
    (found,) = {jobs.create(job) for job in resent}
    assert size() == size_of_one(job_id) + size_of_one(found)


def test_a_retry_counts_apart_from_the_failed_job(jobs, size, size_of_one):
    """The failed job has ended."""
    failed = jobs.in_state(State.FAILED)
    assert size() == 0

    again = jobs.create(jobs.new_job().model_copy(update={"retry_of": failed}))
    assert size() == size_of_one(again)


def test_the_limit_holds_under_simultaneous_creates(jobs, create, size, size_of_one):
    """It is checked within the create: forty simultaneous calls fill it and do not exceed it."""
    one = size_of_one(create())
    jobs.settings = jobs.settings.model_copy(update={"max_queued_bytes": 10 * one + one // 2})

    def try_to_create():
        try:
            return create()
        except QueueFull as refusal:
            return refusal

    answers = run_together(*[try_to_create] * 40)
    assert sum(isinstance(answer, str) for answer in answers) == 9
    assert size() == 10 * one


def test_a_refusal_states_the_bytes_and_writes_nothing(jobs, redis_client, create, size):
    """There is room again as soon as a job ends."""
    job_id = create()
    before, keys_before = size(), redis_client.dbsize()
    jobs.settings = jobs.settings.model_copy(update={"max_queued_bytes": before})

    with pytest.raises(QueueFull, match=f"would have {2 * before} bytes, and at most {before} are allowed") as refused:
        create()
    assert refused.value.retry_after_seconds > 0
    assert (size(), redis_client.dbsize()) == (before, keys_before)
    jobs.cancel(job_id)
    create()


def test_a_lost_or_damaged_record_counts_until_its_job_is_deleted(jobs, redis_client, create, size, size_of_one, audit):
    """Its request is stored until then."""
    lost, damaged, live = create(), create(), create()
    redis_client.delete(keys.job(lost), keys.job(damaged))
    redis_client.set(keys.job(damaged), "garbage")
    assert audit() == (False, False)
    assert size() == 3 * size_of_one(live)

    for job_id in (lost, damaged, lost):
        jobs.store.run(transitions.delete(job_id, None))
    assert size() == size_of_one(live)
    assert audit() == (False, False)


@pytest.mark.parametrize("damage", [None, 10**12, -5, "x", "1e3", "no hash"])
def test_recovery_repairs_a_wrong_size(jobs, redis_client, create, size, size_of_one, damage):
    """Jobs end before and after the repair, whatever the key contains, and later creates are counted exactly."""
    ended, running, queued = create(), create(), create()
    jobs.lease(running)
    redis_client.delete(keys.BYTES)
    if damage == "no hash":
        redis_client.set(keys.BYTES, "garbage")
    elif damage is not None:
        redis_client.hset(keys.BYTES, "requests", damage)

    jobs.cancel(ended)
    assert jobs.record(ended).state is State.CANCELLED
    jobs.recover()
    assert size() == size_of_one(running) + size_of_one(queued)
    jobs.cancel(running)
    assert size() == size_of_one(queued)
    assert jobs.store.run(transitions.audit_sizes([DEFAULT_TENANT])) == (False, False)
    jobs.cancel(create())


def test_a_job_of_the_version_before_is_not_counted(jobs, redis_client, create, size, size_of_one):
    """Its creator did not count it, so its end must not be subtracted from the others."""
    old, new = create(), create()
    redis_client.hdel(keys.job(old), "request_bytes")
    redis_client.hincrby(keys.BYTES, "requests", -size_of_one(old))

    jobs.finish(jobs.lease(old))

    assert size() == size_of_one(new)
