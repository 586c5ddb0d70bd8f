"""The asyncio pool bounds itself, and a bell that could not be acknowledged costs no slot."""

import asyncio
import threading
from types import SimpleNamespace

import pytest
from redis.exceptions import TimeoutError as RedisTimeoutError

from tasks.broker_loss import QoS
from tasks.loop import loop_thread, wait_for
from tasks.pool import TaskPool
from tests.waiting import until


def test_never_more_run_than_there_are_slots():
    """Also when Celery hands over more, as it does after each loss of its broker while jobs run."""
    pool = TaskPool(limit=2)
    pool.on_start()
    gate, started, ended = asyncio.Event(), [], []

    def body(number):
        started.append(number)
        wait_for(gate.wait())
        return number

    for number in range(5):
        pool.on_apply(body, (number,), callback=ended.append)
    until(lambda: len(started) == 2)
    assert not threading.Event().wait(0.1)
    assert started == [0, 1]

    wait_in_loop(gate.set)
    pool.on_stop()
    assert sorted(ended) == [0, 1, 2, 3, 4]


def wait_in_loop(call):

    loop_thread().loop.call_soon_threadsafe(call)


@pytest.mark.parametrize("how", ["ack", "reject"])
def test_a_bell_that_cannot_be_acknowledged_costs_no_slot(monkeypatch, how):
    """The connection is half open: Redis hears nothing, and the worker must take a next job all the same."""

    def silent(*_):
        raise RedisTimeoutError

    qos = QoS(SimpleNamespace(closed=False, connection=None), 1)
    monkeypatch.setattr(qos, "_remove_from_indices", silent)
    qos._delivered["tag"] = object()
    assert not qos.can_consume()

    with pytest.raises(RedisTimeoutError):
        getattr(qos, how)("tag")
    assert qos.can_consume()
