"""A worker or Redis dies in mid-stream: the reader stays, is told of it, and ends with the answer of one attempt."""

import os
import signal
from itertools import takewhile

import pytest

from tests.offline import directive, key
from tests.streams.deployment import deployed
from tests.streams.reading import event_types, final_text, words
from tests.waiting import until

IMPATIENT = "tests/streams/impatient_gunicorn.py"
KEEPALIVE = b": keepalive\n\n"


@pytest.fixture(scope="module")
def deployment(tmp_path_factory, model_url):
    short = {"lease_seconds": "3", "heartbeat_seconds": "1", "redis_timeout_seconds": "1"}
    folder = tmp_path_factory.mktemp("deaths")
    with deployed(folder, model_url, webs=1, workers=2, config=IMPATIENT, **short) as deployment:
        yield deployment


def test_a_worker_killed_in_mid_stream_closes_its_attempt_and_the_next_one_begins_anew(deployment, web):
    """Never two attempts' text run together; keepalives fill the silence between them."""
    job_id = web.submit(directive("tokens=120 interval=0.02", key()))
    reader = web.follow(job_id)
    reader.read_until(b" w20")
    os.kill(deployment.owner(job_id).pid, signal.SIGKILL)
    reader.read_to_end()
    reader.close()

    received = reader.numbered
    assert event_types(received) == ["in_progress", "attempt_incomplete", "in_progress", "completed"]
    assert [message.payload["attempt"] for message in received if "attempt" in message.payload] == [1, 1, 2]
    lost = next(message for message in received if message.event == "attempt_incomplete")
    assert lost.payload["error"]["code"] == "worker_lost"
    discarded_text = final_text(list(takewhile(lambda message: message is not lost, received)))
    assert "w20" in discarded_text != words(120)
    assert final_text(received) == web.chat(job_id)["answer"] == words(120)
    assert reader.received.split(lost.data)[0].count(KEEPALIVE) >= 2
    assert [message.id for message in received] == [str(number) for number in range(len(received))]


def test_redis_killed_in_mid_stream_leaves_the_reader_its_connection(deployment, web):
    """It is kept alive meanwhile, and then gets the rest: each event once."""
    until(lambda: any(worker.is_running for worker in deployment.fleet.workers))
    job_id = web.submit(directive("tokens=200 interval=0.02", key()))
    reader = web.follow(job_id)
    reader.read_until(b" w20")
    deployment.redis.end(signal.SIGKILL)
    kept_alive = reader.received.count(KEEPALIVE)
    while reader.received.count(KEEPALIVE) < kept_alive + 3:
        reader.read(1)
    deployment.redis.start()
    reader.read_to_end()
    reader.close()

    received = reader.numbered
    assert reader.ended == "cleanly"
    assert [message.id for message in received] == [str(number) for number in range(len(received))]
    assert event_types(received)[-1] == "completed"
    assert final_text(received) == web.chat(job_id)["answer"] == words(200)
