"""How a worker ends other than by SIGTERM: because it cannot work, or by a cold shutdown.

Patches Celery's cold shutdown (SIGQUIT, a second Ctrl-C, SIGTERM with REMAP_SIGTERM=SIGQUIT). Celery does its work in
the signal handler, where it kills tasks and waits for the pool. Here the handler only announces the shutdown: running
jobs go back to the queue (tasks/celery_signals.py), and the worker stops as soon as none is left.

Only workers load this module.
"""

import asyncio
import threading
import time
from functools import cache
from typing import Any, Final

from billiard.common import REMAP_SIGTERM
from billiard.process import current_process
from celery import bootsteps, platforms, signals
from celery.apps import worker as celery_worker
from celery.platforms import EX_FAILURE
from celery.utils.log import in_sighandler
from celery.worker import state

from jobs.models import is_job_id
from tasks.celery_ext.event_loop import SIGNAL_SECONDS

_RETURN_SECONDS: Final = 1.0  # after which a cold shutdown no longer waits for jobs and messages to go back
_POLL_SECONDS: Final = 0.02
_FORCE_SECONDS: Final = 3.0  # a signal that comes later finds a worker that is stuck


def is_stopping() -> bool:
    """Whether the worker has been told to stop."""
    return state.should_stop is not None or state.should_terminate is not None or _ColdShutdown.has_begun


def announce_failure(hostname: str) -> None:
    """Start the grace period of a worker that ends because it cannot work."""
    signals.worker_shutting_down.send(sender=hostname, sig="", how="Warm", exitcode=EX_FAILURE)


def stop_worker(hostname: str) -> None:
    """Stop the worker with a non-zero exit code, after the grace period. May be called from any thread."""
    if state.should_stop is None:
        state.should_stop = EX_FAILURE
        announce_failure(hostname)


class ReturnMessages(bootsteps.StartStopStep):  # type: ignore[misc]  # celery ships no types
    """Worker step: messages that the pool has not started return to the broker, then the pool stops.

    Celery's pools would drop them. In a cold shutdown, running tasks are ended too; jobs are being released by then.
    """

    requires = ("celery.worker.components:Pool",)

    def stop(self, worker: Any) -> None:
        _return_unstarted()
        _stop_pool(worker.pool)

    def terminate(self, worker: Any) -> None:
        worker.exitcode = worker.exitcode or state.should_stop  # of a first Ctrl-C, which came a moment before
        _return_unstarted()
        for request in tuple(state.active_requests):
            if not is_job_id(request.id) and not request.acknowledged:
                _end_task(request, worker.pool)
        _stop_pool(worker.pool)


def _return_unstarted() -> None:
    for request in tuple(state.reserved_requests):
        if request not in state.active_requests:
            request.reject(requeue=True)


def _stop_pool(pool: Any) -> None:
    """Stop the pool in another thread, and wait for it in short steps.

    Celery's pools wait for their tasks without a pause. The main thread would handle a signal that comes just before
    such a wait only after it, and would miss a cold shutdown.
    """
    stopping = threading.Thread(target=pool.stop, name="chatqueue-stop-pool", daemon=True)
    stopping.start()
    while stopping.is_alive():
        stopping.join(SIGNAL_SECONDS)


def _end_task(request: Any, pool: Any) -> None:
    """End a Celery task that is not a job, and return its message. The threads pool cannot: it waits for the task."""
    try:
        request.cancel(pool, emit_retry=not request.task.acks_late)
    except NotImplementedError:
        return
    request.reject(requeue=True)


class _ColdShutdown:
    """The handler of the signals that ask for a cold shutdown. It takes no lock: the main thread may hold any."""

    has_begun = False  # in this process

    def __init__(self, worker: Any) -> None:
        self._worker = worker
        self._began = 0.0

    def __call__(self, *_: Any) -> None:
        if current_process().name != "MainProcess":  # a prefork child that is starting
            return
        with in_sighandler():
            if not self.has_begun:
                self._begin()
            elif time.monotonic() - self._began > _FORCE_SECONDS:
                celery_worker.on_hard_shutdown(self._worker)

    def _begin(self) -> None:
        _ColdShutdown.has_begun, self._began = True, time.monotonic()
        celery_worker.safe_say("worker: Cold shutdown (MainProcess)")
        if not self._worker.consumer.is_ready:
            state.should_terminate = EX_FAILURE
        signals.worker_shutting_down.send(sender=self._worker.hostname, sig="", how="Cold", exitcode=EX_FAILURE)


async def terminate_when_idle() -> None:
    """End a cold shutdown: the main thread goes on until every request has ended, so that their messages go back."""
    end = time.monotonic() + _RETURN_SECONDS
    while len(state.reserved_requests) and time.monotonic() < end:  # noqa: ASYNC110  # the set belongs to Celery
        await asyncio.sleep(_POLL_SECONDS)
    state.should_terminate = EX_FAILURE


# A second Ctrl-C may interrupt the handler of the first while it holds the lock of this signal.
signals.worker_shutting_down.lock = threading.RLock()

_cold_shutdown = cache(_ColdShutdown)


def _install_handler(worker: Any, sig: str = "SIGQUIT", **_: Any) -> None:
    platforms.signals[sig] = _cold_shutdown(worker)


celery_worker.install_worker_term_hard_handler = _install_handler
if REMAP_SIGTERM == "SIGQUIT":
    celery_worker.install_worker_term_handler = lambda worker: _install_handler(worker, "SIGTERM")
