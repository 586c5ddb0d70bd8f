"""Messages are taken many at once, never beyond the free slots, and are kept by the worker alone."""

from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from kombu import Connection, Consumer, Queue
from kombu.transport import redis as kombu_redis
from redis.exceptions import TimeoutError as RedisTimeoutError

from jobs.storage import keys
from tasks.celery_ext.redis_transport import Channel, QoS, SentinelChannel

QUEUE = "messages-under-test"


@contextmanager
def consuming(redis_url, slots, messages):
    """A consumer with that many free slots, and what it was handed."""
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


def test_one_round_trip_brings_many_bells_and_none_beyond_the_free_slots(redis_url, redis_client):
    messages = [(f"message {number}", keys.NORMAL_PRIORITY) for number in range(5)]
    with consuming(redis_url, 3, messages) as (connection, taken):
        connection.drain_events(timeout=5)

        assert texts(taken) == ["message 0", "message 1", "message 2"]
        assert redis_client.llen(keys.broker_list(QUEUE, keys.NORMAL_PRIORITY)) == 2
        taken[0].ack()
        connection.drain_events(timeout=5)
        assert texts(taken[3:]) == ["message 3"]


def test_the_front_lane_goes_first(redis_url, redis_client):
    messages = [("waits", keys.NORMAL_PRIORITY), ("first", keys.HIGH_PRIORITY)]
    with consuming(redis_url, 10, messages) as (connection, taken):
        connection.drain_events(timeout=5)
        connection.drain_events(timeout=5)

    assert texts(taken) == ["first", "waits"]


def test_a_bell_under_way_is_written_nowhere_and_does_not_come_back_by_itself(redis_url, redis_client):
    """Neither acknowledged nor when the connection closes: the record tells what is to be done."""
    with consuming(redis_url, 2, [("a", 0), ("b", 0)]) as (connection, taken):
        connection.drain_events(timeout=5)
        assert len(taken) == 2
        assert not [name for name in redis_client.scan_iter() if b"unacked" in name or name == QUEUE.encode()]
        taken[0].ack()

    assert redis_client.llen(QUEUE) == 0


def test_a_rejected_bell_is_back_on_its_list_in_its_lane(redis_url, redis_client):
    """Behind what waits there: another worker should come to it first."""
    messages = [("given back", keys.NORMAL_PRIORITY), ("next", keys.NORMAL_PRIORITY)]
    with consuming(redis_url, 1, messages) as (connection, taken):
        connection.drain_events(timeout=5)
        taken[0].reject(requeue=True)
        assert redis_client.llen(keys.broker_list(QUEUE, keys.NORMAL_PRIORITY)) == 2
        connection.drain_events(timeout=5)
        taken[1].ack()
        connection.drain_events(timeout=5)

    assert texts(taken) == ["given back", "next", "given back"]
    assert taken[2].headers["redelivered"]


def test_a_bell_that_redis_does_not_take_back_costs_no_slot(monkeypatch):
    """The connection is half open: Redis hears nothing, and the worker must take a next job all the same."""

    def silent(*_):
        raise RedisTimeoutError

    qos = QoS(SimpleNamespace(closed=False, connection=None, _restore_at_beginning=silent), 1)
    qos._delivered["tag"] = object()
    assert not qos.can_consume()

    with pytest.raises(RedisTimeoutError):
        qos.reject("tag", requeue=True)
    assert qos.can_consume()


@pytest.mark.parametrize("requeue", [True, False])
def test_a_bell_of_a_connection_that_is_gone_can_still_be_settled(requeue):
    """Its channel is closed and has no connection any more; Celery would end the worker for an AttributeError."""
    qos = QoS(SimpleNamespace(closed=True, connection=None), 1)
    qos._delivered["tag"] = object()

    qos.reject("tag", requeue=requeue)
    qos.restore_unacked_once()
    assert qos.can_consume()


def test_every_kind_of_redis_is_consumed_from_in_this_way():
    assert kombu_redis.Transport.Channel is Channel
    assert kombu_redis.SentinelTransport.Channel is SentinelChannel
    assert SentinelChannel._brpop_start is Channel._brpop_start
    assert SentinelChannel._get_pool is kombu_redis.SentinelChannel._get_pool
