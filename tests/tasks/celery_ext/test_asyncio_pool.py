"""The asyncio pool bounds its own concurrency."""

import asyncio
import threading

from tasks.celery_ext.asyncio_pool import TaskPool
from tasks.celery_ext.event_loop import loop_thread, wait_for
from tests.support.waiting import until


def test_the_pool_never_runs_more_tasks_than_it_has_slots():
    """After a lost broker connection Celery submits more tasks than there are slots; the surplus must wait."""
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

    call_on_loop(gate.set)
    pool.on_stop()
    assert sorted(ended) == [0, 1, 2, 3, 4]


def call_on_loop(call):
    loop_thread().loop.call_soon_threadsafe(call)
