"""A connection that drops during a transition: the server ran it, the reply was lost, and it is sent again.

A proxy between store and server cuts the first replies to scripts. Each transition must return the same reply and leave
the same data as a transition that ran once.
"""

import asyncio
from urllib.parse import urlsplit

import pytest

from jobs import queries
from jobs.settings import Settings
from jobs.states import State
from jobs.storage import keys, transitions
from jobs.storage.async_store import AsyncStore
from jobs.storage.redis_client import connect_async
from tests.jobs.conftest import ANSWER, ERROR, USAGE

CUTS = 2


def send_with_lost_replies(settings, command):
    """Sends a command through a proxy that forwards requests and cuts the first replies. Returns the result."""
    server_port = urlsplit(settings.record_url.get_secret_value()).port
    cuts = 0

    async def serve(reader, writer):
        nonlocal cuts
        upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", server_port)
        while data := await reader.read(65_536):
            upstream_writer.write(data)
            reply = await upstream_reader.read(65_536)
            if b"EVAL" in data and b"NOSCRIPT" not in reply and cuts < CUTS:
                cuts += 1
                break
            writer.write(reply)
        writer.close()
        upstream_writer.close()

    async def run():
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as proxy:
            url = f"redis://127.0.0.1:{proxy.sockets[0].getsockname()[1]}/0"
            store = AsyncStore(connect_async(Settings(REDIS_URL=url)))
            try:
                return await asyncio.wait_for(store.run(command), 15)
            finally:
                await store.close()

    answer = asyncio.run(run())
    assert cuts == CUTS
    return answer


@pytest.fixture
def send(jobs):
    return lambda command: send_with_lost_replies(jobs.settings, command)


def test_create_survives_lost_replies(jobs, send, redis_client):
    """A create that is sent again returns the same record and leaves one job, one message and one count."""
    job = jobs.new_job(key="k")

    created = send(transitions.create(job, jobs.message_template, jobs.settings))
    assert created == transitions.Created(
        job.job_id,
        jobs.record(job.job_id).model_copy(update={"queue_position": 0, "estimated_wait_ms": 0, "waiting_for": "slot"}),
    )
    assert redis_client.llen(jobs.message_template.normal_list) == 1
    assert jobs.store.run(queries.totals()) == {"created": 1}


def test_a_claim_that_is_sent_again_keeps_its_lease(jobs, redis_client):
    """Its worker waits for the reply, perhaps for longer than a lease, and cannot renew what it does not know."""
    job_id = jobs.create()
    jobs.claim(job_id, "c")
    redis_client.zadd(keys.LEASES, {job_id: 1})

    jobs.claim(job_id, "other")
    assert redis_client.zscore(keys.LEASES, job_id) == 1
    jobs.claim(job_id, "c")
    assert redis_client.zscore(keys.LEASES, job_id) > 1


def test_claim_survives_lost_replies(jobs, send):
    """A claim that is sent again returns the first lease and counts one attempt."""
    job_id = jobs.create()

    claim = send(transitions.claim(job_id, "c", "w", jobs.message_template, jobs.settings))
    assert claim.lease.attempt == 1
    assert jobs.record(job_id).attempts == 1


def test_append_survives_lost_replies(jobs, send, redis_client):
    """An append that is sent again writes its events once."""
    lease = jobs.lease()

    assert (
        send(
            transitions.append(
                lease,
                transitions.PendingEvents(
                    lease.log_length, (transitions.delta_event("a"), transitions.delta_event("b"))
                ),
                USAGE,
            )
        )
        == 3
    )
    assert redis_client.llen(keys.events(lease.job_id)) == 3


def test_renew_survives_lost_replies(jobs, send):
    """A heartbeat that is sent again loses no lease."""
    lease = jobs.lease()

    assert send(transitions.renew("w", [lease], jobs.settings)) == frozenset()


def test_finish_survives_lost_replies(jobs, send, redis_client):
    """A finish that is sent again succeeds, and writes one last event and one count."""
    lease = jobs.lease()

    assert send(transitions.finish(lease, ANSWER, State.COMPLETED, jobs.settings))
    assert redis_client.llen(keys.events(lease.job_id)) == 2
    assert jobs.store.run(queries.totals())["completed"] == 1


def test_fail_survives_lost_replies(jobs, send, redis_client):
    """A fail that is sent again succeeds, and writes one failed attempt and one count."""
    lease = jobs.lease()

    assert send(transitions.fail(lease, ERROR, None, jobs.settings))
    assert redis_client.llen(keys.attempts(lease.job_id)) == 1
    assert jobs.store.run(queries.totals())["failed"] == 1


@pytest.mark.parametrize("wait_seconds", [0, 60])
def test_release_survives_lost_replies(jobs, send, redis_client, wait_seconds):
    """A release that is sent again counts one failure and publishes at most one message."""
    jobs.report_worker()
    lease = jobs.lease()

    assert send(transitions.release(lease, ERROR, wait_seconds, jobs.message_template)) is not None
    assert redis_client.llen(keys.attempts(lease.job_id)) == 1
    assert redis_client.zcard(keys.messages(jobs.message_template.queue)) == (0 if wait_seconds else 1)
    assert jobs.record(lease.job_id).failures == 1


def test_republish_survives_lost_replies(jobs, send, redis_client):
    """A republish that is sent again publishes one message."""
    jobs.report_worker()
    lease = jobs.lease()
    jobs.release(lease, 0.001)
    while jobs.store.run(queries.server_time_ms()) <= jobs.record(lease.job_id).retry_at_ms:
        pass

    assert send(transitions.republish(lease.job_id, jobs.message_template)) in {"queued", "early"}
    assert redis_client.zcard(keys.messages(jobs.message_template.queue)) == 1


def test_cancel_survives_lost_replies(jobs, send, redis_client):
    """A cancel that is sent again returns cancelled, and writes one event and one count."""
    job_id = jobs.create()

    assert send(transitions.cancel(job_id, jobs.message_template.queue, jobs.settings)) == "cancelled"
    assert redis_client.llen(keys.events(job_id)) == 1
    assert jobs.store.run(queries.totals())["cancelled"] == 1


def test_delete_survives_lost_replies(jobs, send):
    """A delete that is sent again leaves no record, whichever of the two sends is answered."""
    job_id = jobs.in_state(State.COMPLETED)

    assert send(transitions.delete(job_id, jobs.record(job_id))) in {"deleted", "gone"}
    assert jobs.store.run(queries.record(job_id)) is None


def test_become_leader_survives_lost_replies(jobs, send):
    """A worker whose first reply was lost is still the leader, and no other worker becomes it."""
    assert send(transitions.become_leader("w", 5_000))
    assert not jobs.store.run(transitions.become_leader("another", 5_000))
