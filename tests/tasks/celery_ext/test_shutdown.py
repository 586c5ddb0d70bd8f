"""The steps of a worker's shutdown."""

import os
import signal
import threading
from types import SimpleNamespace

import pytest
from celery import signals
from celery.platforms import EX_FAILURE

from tasks.celery_ext.shutdown import ReturnMessages

WAIT_SECONDS = 10.0


@pytest.fixture
def on_signal():
    """An event that the handler of SIGUSR1 sets. Python runs handlers in the main thread only."""
    handled = threading.Event()
    before = signal.signal(signal.SIGUSR1, lambda *_: handled.set())
    yield handled
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize("how", ["stop", "terminate"])
def test_the_main_thread_handles_signals_while_the_pool_waits_for_its_tasks(on_signal, how):
    """A wait of Celery's pool in the main thread could miss a second Ctrl-C until all tasks have ended."""
    waits = []

    def stop_pool():
        is_main = threading.current_thread() is threading.main_thread()
        os.kill(os.getpid(), signal.SIGUSR1)
        waits.append((is_main, on_signal.wait(WAIT_SECONDS)))

    worker = SimpleNamespace(exitcode=None, pool=SimpleNamespace(stop=stop_pool))
    getattr(ReturnMessages(worker), how)(worker)

    assert waits == [(False, True)]


def test_a_second_signal_may_interrupt_the_handler_of_the_first():
    """Both announce the shutdown in the main thread, and Celery holds a lock meanwhile."""
    heard = []

    def announce():
        with signals.worker_shutting_down.lock:  # interrupted here
            signals.worker_shutting_down.send(sender="w", sig="", how="Cold", exitcode=EX_FAILURE)

    def hear(how, **_):
        heard.append(how)

    signals.worker_shutting_down.connect(hear)
    thread = threading.Thread(target=announce, daemon=True)
    thread.start()
    thread.join(WAIT_SECONDS)

    assert heard == ["Cold"]
