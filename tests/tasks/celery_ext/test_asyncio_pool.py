"""The asyncio pool bounds its own concurrency."""

import asyncio
import signal
import threading

import pytest
from billiard.exceptions import Terminated

from tasks.celery_ext.asyncio_pool import TaskPool
from tasks.celery_ext.event_loop import loop_thread, wait_for
from tests.support.waiting import until


@pytest.fixture
def pool_of_two():
    """A pool with two slots, and a list for the errors of its tasks."""
    pool = TaskPool(limit=2)
    pool.on_start()
    return pool, []


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


def test_a_task_is_ended_through_its_handle_or_its_number(pool_of_two):
    """Celery does both when it cancels a request. It then expects Terminated, which is no failure of the task."""
    pool, ends = pool_of_two
    gate = asyncio.Event()
    runs = [pool.on_apply(wait_for, (gate.wait(),), error_callback=ends.append) for _ in range(2)]
    until(lambda: all(run.task for run in runs))

    runs[0].terminate(signal.SIGTERM)
    pool.terminate_job(runs[1].number, signal.SIGQUIT)
    pool.on_stop()
    assert [type(end.exception.exc) for end in ends] == [Terminated, Terminated]


def test_a_task_that_is_ended_before_a_slot_is_free_never_starts(pool_of_two):
    """It gives its slot to the next task, and nobody waits for it."""
    pool, ends = pool_of_two
    gate, started = asyncio.Event(), []

    def body(number):
        started.append(number)
        wait_for(gate.wait())

    runs = [pool.on_apply(body, (number,), error_callback=ends.append) for number in range(4)]
    until(lambda: len(started) == 2)
    runs[2].terminate(signal.SIGTERM)
    call_on_loop(gate.set)
    pool.on_stop()
    assert started == [0, 1, 3]
    assert [type(end.exception.exc) for end in ends] == [Terminated]


def test_a_pool_keeps_its_last_slot_and_fills_new_ones(pool_of_two):
    """Without a slot a worker takes nothing for ever; a grown pool starts the tasks that wait."""
    pool, _ = pool_of_two
    gate, started = asyncio.Event(), []

    def body(number):
        started.append(number)
        wait_for(gate.wait())

    with pytest.raises(ValueError, match="at least 1 slot"):
        pool.shrink(2)
    for number in range(3):
        pool.on_apply(body, (number,))
    pool.grow(1)
    until(lambda: len(started) == 3)
    call_on_loop(gate.set)
    pool.on_stop()
    assert pool.num_processes == 3
