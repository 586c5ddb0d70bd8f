"""A worker takes many messages in one round trip, never beyond its free slots, and stores nothing about them."""

from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from kombu import Connection, Consumer, Queue
from kombu.transport import redis as kombu_redis
from redis.exceptions import TimeoutError as RedisTimeoutError

from jobs.priorities import HIGH_PRIORITY, NORMAL_PRIORITY
from jobs.storage import keys
from tasks.celery_ext.redis_transport import Channel, QoS, SentinelChannel

QUEUE = "messages-under-test"


@contextmanager
def consuming(redis_url, slots, messages):
    """The connection of a consumer with the given number of free slots, and the messages that it receives."""
    taken = []
    with Connection(redis_url) as connection, connection.channel() as channel:
        for text, priority in messages:
            connection.Producer(channel).publish(text, routing_key=QUEUE, priority=priority)
        channel.basic_qos(0, slots, False)
        consumer = Consumer(channel, [Queue(QUEUE)], on_message=taken.append, auto_declare=False)
        with consumer:
            yield connection, taken


def texts(messages):
    return [message.payload for message in messages]


def test_one_round_trip_brings_many_messages_and_none_beyond_the_free_slots(redis_url, redis_client):
    """A message beyond the free slots stays in Redis, where an idle worker can take it."""
    messages = [(f"message {number}", NORMAL_PRIORITY) for number in range(5)]
    with consuming(redis_url, 3, messages) as (connection, taken):
        connection.drain_events(timeout=5)

        assert texts(taken) == ["message 0", "message 1", "message 2"]
        assert redis_client.llen(keys.broker_list(QUEUE, NORMAL_PRIORITY)) == 2
        taken[0].ack()
        connection.drain_events(timeout=5)
        assert texts(taken[3:]) == ["message 3"]


def test_messages_of_high_priority_are_taken_first(redis_url, redis_client):
    """A recovered or retried job has already waited, so it is taken ahead of the backlog."""
    messages = [("waits", NORMAL_PRIORITY), ("first", HIGH_PRIORITY)]
    with consuming(redis_url, 10, messages) as (connection, taken):
        connection.drain_events(timeout=5)
        connection.drain_events(timeout=5)

    assert texts(taken) == ["first", "waits"]


def test_a_taken_message_is_stored_nowhere_and_is_not_redelivered(redis_url, redis_client):
    """An unacknowledged message is not redelivered even when the connection closes: its job still runs here."""
    with consuming(redis_url, 2, [("a", 0), ("b", 0)]) as (connection, taken):
        connection.drain_events(timeout=5)
        assert len(taken) == 2
        assert not [name for name in redis_client.scan_iter() if b"unacked" in name or name == QUEUE.encode()]
        taken[0].ack()

    assert redis_client.llen(QUEUE) == 0


def test_a_rejected_message_returns_to_the_list_of_its_priority(redis_url, redis_client):
    """The message is put behind the waiting ones, so that another worker is likely to take it."""
    messages = [("rejected", NORMAL_PRIORITY), ("next", NORMAL_PRIORITY)]
    with consuming(redis_url, 1, messages) as (connection, taken):
        connection.drain_events(timeout=5)
        taken[0].reject(requeue=True)
        assert redis_client.llen(keys.broker_list(QUEUE, NORMAL_PRIORITY)) == 2
        connection.drain_events(timeout=5)
        taken[1].ack()
        connection.drain_events(timeout=5)

    assert texts(taken) == ["rejected", "next", "rejected"]
    assert taken[2].headers["redelivered"]


def test_a_rejected_message_frees_its_slot_even_if_redis_does_not_answer(caplog):
    """On a half-open connection the requeue fails; the worker must still take its next job, and logs one line."""

    def time_out(*_):
        raise RedisTimeoutError

    qos = QoS(SimpleNamespace(closed=False, connection=None, _restore_at_beginning=time_out), 1)
    qos._delivered["tag"] = object()
    assert not qos.can_consume()

    qos.reject("tag", requeue=True)

    assert qos.can_consume()
    assert caplog.messages == ["message_not_returned error=TimeoutError"]


@pytest.mark.parametrize("requeue", [True, False])
def test_a_message_of_a_lost_connection_can_still_be_rejected(requeue):
    """Its channel is closed and has no connection; an AttributeError would make Celery end the worker."""
    qos = QoS(SimpleNamespace(closed=True, connection=None), 1)
    qos._delivered["tag"] = object()

    qos.reject("tag", requeue=requeue)
    qos.restore_unacked_once()
    assert qos.can_consume()


def test_plain_redis_and_sentinel_use_the_same_channel():
    """A deployment with Sentinels must take messages in the same way."""
    assert kombu_redis.Transport.Channel is Channel
    assert kombu_redis.SentinelTransport.Channel is SentinelChannel
    assert SentinelChannel._brpop_start is Channel._brpop_start
    assert SentinelChannel._get_pool is kombu_redis.SentinelChannel._get_pool
