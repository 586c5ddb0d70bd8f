"""Following a job's log: each event arrives once and in order, even if published twice, late, in part or never."""

import threading

import pytest

from jobs.errors import JobNotFound, StoreUnavailable
from jobs.states import State
from jobs.storage import keys, transitions
from jobs.tenant_store import default_store
from jobs.watch import follow as follow_module
from jobs.watch import waiters
from jobs.watch.follow import follow
from jobs.watch.listener import ChangeListener
from tests.jobs.conftest import USAGE
from tests.jobs.watch.conftest import TICK, FakeListener, drained, numbers
from tests.support.waiting import until


@pytest.fixture
def change_listener(store):
    change_listener = ChangeListener(store._client)
    yield change_listener
    change_listener.close()


def job_with_log(jobs, texts, end=True):
    """A job with these deltas in its log, from number 1 on."""
    lease = jobs.lease()
    jobs.append(lease, *texts)
    if end:
        assert jobs.finish(lease)
    return lease.job_id


def published(redis_client, job_id, first, last):
    lines = redis_client.lrange(keys.events(job_id), first, last)
    kind = b"final" if b"completed" in lines[-1] else b"more"
    return b"\n".join([b"%s %d" % (kind, first), *lines])


def followed_numbers(counted, jobs, redis_client, *turns):
    """The numbers that a follower gets of a job that starts (0), writes 1 to 6, ends (7) and publishes ``turns``."""
    lease = jobs.lease()
    listener = FakeListener()
    batches = follow(default_store(counted), listener, lease.job_id, -1, TICK)
    assert numbers([next(batches)]) == [0]
    for number in range(6):
        assert jobs.store.run(
            transitions.append(
                lease, transitions.PendingEvents(number + 1, (transitions.delta_event(f"w{number} "),)), USAGE
            )
        )
    assert jobs.finish(lease)
    for turn in turns:
        listener.subscription.turns.append(turn and [published(redis_client, lease.job_id, *span) for span in turn])
    counted.reads = 0
    return numbers(batches)


@pytest.mark.parametrize(
    ("turns", "reads"),
    [
        ([[(1, 3)], [(4, 6), (7, 7)]], 0),  # everything, in order
        ([[(1, 3), (1, 3), (2, 5), (4, 7)]], 0),  # twice, and overlapping
        ([[(0, 2)], [(0, 7)]], 0),  # events that arrived before
        ([[(1, 2), (5, 7)]], 1),  # a gap within a take
        ([[(3, 7)]], 1),  # a gap before the first
        ([[(7, 7)]], 1),  # only the end
        ([None], 1),  # messages were missed
        ([[(1, 2)], None], 1),
        ([[], [], [(1, 7)]], 0),  # silence, then everything
    ],
)
def test_whatever_is_published_each_event_arrives_once_and_in_order(counted, jobs, redis_client, turns, reads):
    """The log is read only where the messages leave a gap."""
    assert followed_numbers(counted, jobs, redis_client, *turns) == list(range(1, 8))
    assert counted.reads == reads


def test_missing_messages_cost_reads_of_the_log_and_no_event(counted, jobs, redis_client, monkeypatch):
    """Without any message the follower still gets every event, by reading the log at intervals."""
    monkeypatch.setattr(follow_module, "RECHECK_SECONDS", 0.0)

    assert followed_numbers(counted, jobs, redis_client, [], []) == list(range(1, 8))


def test_an_outage_in_the_middle_is_waited_out(counted, jobs, redis_client, change_listener):
    """If Redis cannot be read after a gap, each tick yields an empty batch; then the other events arrive once."""
    lease = jobs.lease()
    listener = FakeListener(None, [], [])
    batches = follow(default_store(counted), listener, lease.job_id, -1, TICK)
    collected = [next(batches)]
    jobs.append(lease, "an answer")
    assert jobs.finish(lease)
    counted.failures = 3
    collected += list(batches)

    assert [batch for batch in collected if not batch] == [()] * 3
    assert numbers(collected) == [0, 1, 2]


def test_an_outage_between_two_pages_loses_no_event(counted, jobs, monkeypatch):
    """During the outage the follower waits for a tick before each read, even if further pages exist."""
    monkeypatch.setattr(follow_module, "PAGE_SIZE", 3)
    job_id = job_with_log(jobs, ["w"] * 10)
    listener = FakeListener()
    batches = follow(default_store(counted), listener, job_id, -1, TICK)
    collected = [next(batches)]
    counted.failures = 3
    collected += list(batches)

    assert numbers(collected) == list(range(12))
    assert listener.subscription.takes == 3


def test_only_the_first_read_raises(counted, jobs):
    """Before the first batch, an error response can still be sent to the client; later it cannot."""
    counted.failures = 1

    with pytest.raises(StoreUnavailable):
        drained(counted, FakeListener(), jobs.create())
    for unknown in ("job_" + "0" * 32, "nonsense"):
        with pytest.raises(JobNotFound):
            drained(counted, FakeListener(), unknown)


@pytest.mark.parametrize("after", [-1, 0, 4, 5, 1_000])
def test_a_log_longer_than_a_page_arrives_page_by_page(counted, jobs, monkeypatch, after):
    """The pages follow without waiting, from any number on, even from one beyond the end."""
    monkeypatch.setattr(follow_module, "PAGE_SIZE", 5)
    job_id = job_with_log(jobs, [f"w{number} " for number in range(18)])

    batches = drained(counted, FakeListener(), job_id, after)
    assert numbers(batches) == list(range(after + 1, 20))
    assert max(map(len, batches)) <= 5


def test_a_log_whose_last_page_is_full_ends(counted, jobs, monkeypatch):
    """If the last page is full, only its final event shows that no page follows."""
    monkeypatch.setattr(follow_module, "PAGE_SIZE", 5)

    assert numbers(drained(counted, FakeListener(), job_with_log(jobs, ["w"] * 8))) == list(range(10))


def test_deleting_a_job_ends_its_stream(counted, jobs):
    """A follower does not wait for events of a job that no longer exists."""
    job_id = job_with_log(jobs, ["w"], end=False)
    batches = follow(default_store(counted), FakeListener(None), job_id, -1, TICK)
    next(batches)
    assert jobs.cancel(job_id) == "cancelled"
    assert jobs.delete(job_id) == "deleted"

    assert set(batches) == {()}


def test_closing_the_listener_ends_followers_with_the_events_so_far(jobs, store, redis_client, change_listener):
    """A stopping server ends every stream, without a final event since there is none."""
    job_id = job_with_log(jobs, ["an ", "answer"], end=False)
    collected = []

    def read():
        collected.extend(follow(default_store(store), change_listener, job_id, -1, 60))

    reader = threading.Thread(target=read)
    reader.start()
    until(
        lambda: redis_client.pubsub_numsub(keys.changed_channel(job_id))[0][1] == 1 and numbers(collected) == [0, 1, 2]
    )
    change_listener.close()
    reader.join(10)

    assert not reader.is_alive()
    assert numbers(collected) == [0, 1, 2]


def test_a_slow_follower_of_a_busy_job_reads_the_missed_events_from_the_log(jobs, store, change_listener, monkeypatch):
    """With more unread messages than allowed, the follower learns that some were missed and reads the log."""
    monkeypatch.setattr(waiters, "MAX_UNREAD", 4)
    lease = jobs.lease()
    batches = follow(default_store(store), change_listener, lease.job_id, -1, 5)
    collected = [next(batches), next(batches)]  # it is subscribed, and sleeps from here on
    for number in range(50):
        jobs.append(lease, f"w{number} ", log_length=1 + number)
    assert jobs.finish(lease)
    collected += list(batches)

    assert numbers(collected) == list(range(52))


def test_a_follower_from_beyond_the_end_ends_with_the_job(jobs, store, redis_client, change_listener):
    """A follower after a number that no event has must not wait after the end of the job."""
    lease = jobs.lease()
    batches = follow(default_store(store), change_listener, lease.job_id, 1_000, 60)
    assert next(batches) == ()
    ends = threading.Timer(0.2, jobs.finish, [lease])
    ends.start()

    assert numbers(batches) == []
    ends.join()
    assert jobs.record(lease.job_id).state is State.COMPLETED
