"""A worker or Redis is killed in mid-stream: the reader stays connected and ends with the answer of one attempt."""

import os
import signal
from itertools import takewhile

from tests.streams.reading import event_types, final_text, words
from tests.support.offline_model import directive, key
from tests.support.waiting import until

KEEPALIVE = b": keepalive\n\n"


DEPLOYMENT = {
    "webs": 1,
    "workers": 2,
    "config": "tests/streams/frequent_keepalive_gunicorn.py",
    "lease_seconds": "3",
    "heartbeat_seconds": "1",
    "redis_timeout_seconds": "1",
}


def test_a_killed_workers_attempt_is_closed_before_the_next_begins(deployment, web):
    """The texts of two attempts never mix, and keep-alives fill the silence between them."""
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


def test_a_killed_redis_does_not_cut_the_stream(deployment, web):
    """The stream is kept alive during the outage, and then sends each remaining event once."""
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
