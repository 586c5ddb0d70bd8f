"""The asyncio pool: Celery's unmodified tracer runs each task in a greenlet on one event loop.

Celery has no asyncio pool yet (celery#10634 is open). This one uses Celery's extension point for pools and nothing
private, so that Celery's own pool can replace it. Celery's callbacks (acknowledge, events) write to the broker's
connection, so they run on the worker's main loop, in the order in which their tasks ended.

Logs:
    pool_callback_failed  a callback of Celery raised; the task has nevertheless ended
"""

import asyncio
import functools
import itertools
import logging
import queue
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final, NoReturn

from billiard.common import TERM_SIGNAL
from billiard.einfo import ExceptionInfo
from billiard.exceptions import Terminated
from celery.concurrency.base import BasePool

from tasks.celery_ext.event_loop import loop_thread, run_body

logger = logging.getLogger(__name__)

_DRAIN_POLL_SECONDS: Final = 0.1  # how often a stopping pool checks for its last task


class RunningTask:
    """One task of the pool. Celery holds a weak reference to it."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.task: asyncio.Task[None] | None = None  # None until a slot is free
        self.end_signal: int | None = None

    def terminate(self, signal: int) -> None:
        """End the task, as Celery's prefork pool does by killing its process. May be called from any thread."""
        self.end_signal = signal
        loop_thread().loop.call_soon_threadsafe(self._cancel)

    def raise_terminated(self) -> NoReturn:
        """Raise what Celery expects for a task that was ended: it does not count as a failure of the task."""
        raise Terminated(self.end_signal or TERM_SIGNAL)

    def _cancel(self) -> None:
        if self.task is not None:
            self.task.cancel()


class TaskPool(BasePool):  # type: ignore[misc]  # celery ships no types
    """Never runs more tasks than it has slots.

    Celery's time limits have no effect here, as in its threads pool: a body that blocks would block their timer too.
    Jobs have limits of their own.

    Celery's prefetch count ensures this only until the connection to the broker is lost: the count then restarts from
    zero, even if tasks are still running. Messages beyond the slots wait in the pool. Their jobs are not claimed, so
    another worker can take them.
    """

    signal_safe = False  # on_stop waits, and a signal handler must not
    body_can_be_buffer = True
    task_join_will_block = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._run_numbers = itertools.count(1)
        self._running: dict[int, RunningTask] = {}
        self._callbacks: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._hub: Any = None
        # Used on the loop's thread only:
        self._waiting: deque[tuple[RunningTask, Callable[[], None]]] = deque()
        self._busy_slots = 0

    def on_start(self) -> None:
        loop_thread()

    def register_with_event_loop(self, hub: Any) -> None:
        self._hub = hub

    def on_apply(
        self,
        target: Callable[..., Any],
        args: Any = None,
        kwargs: Any = None,
        callback: Callable[..., Any] | None = None,
        accept_callback: Callable[..., Any] | None = None,
        error_callback: Callable[..., Any] | None = None,
        **_: Any,
    ) -> RunningTask:
        run = RunningTask(next(self._run_numbers))
        self._running[run.number] = run
        if accept_callback is not None:
            accept_callback(run.number, time.monotonic())

        def body() -> None:
            try:
                if run.end_signal is not None:
                    run.raise_terminated()
                result = target(*(args or ()), **(kwargs or {}))
            except asyncio.CancelledError:
                self._queue_callback(error_callback, _terminated(run))
            except BaseException:  # noqa: BLE001  # SystemExit must neither end the loop nor leak the slot
                self._queue_callback(error_callback, ExceptionInfo(sys.exc_info()))
            else:
                self._queue_callback(callback, result)

        loop_thread().loop.call_soon_threadsafe(self._launch, run, body)
        return run

    def on_stop(self) -> None:
        """Warm shutdown: wait for every task, and run the callback that acknowledges it."""
        while self._running:
            self._drain_callbacks(_DRAIN_POLL_SECONDS)
        self._drain_callbacks(0)

    def on_terminate(self) -> None:
        """Cold shutdown: cancel every task; their jobs go back to the queue."""
        for run in list(self._running.values()):
            run.terminate(TERM_SIGNAL)

    def terminate_job(self, pid: int, signal: int | None = None) -> None:
        """End one task; ``pid`` is the number that its accept callback received."""
        run = self._running.get(pid)
        if run is not None:
            run.terminate(signal or TERM_SIGNAL)

    def grow(self, n: int = 1) -> None:
        self.limit += n
        loop_thread().loop.call_soon_threadsafe(self._fill_slots)

    def shrink(self, n: int = 1) -> None:
        """Running tasks end normally; the slots close behind them. Raises ValueError if no slot would be left."""
        if self.limit - n < 1:
            raise ValueError("a pool must keep at least 1 slot")
        self.limit -= n

    def _get_info(self) -> dict[str, Any]:
        return {**super()._get_info(), "running": len(self._running)}

    def _launch(self, run: RunningTask, body: Callable[[], None]) -> None:
        self._waiting.append((run, body))
        self._fill_slots()

    def _fill_slots(self) -> None:
        while self._waiting and self._busy_slots < self.limit:
            run, body = self._waiting.popleft()
            self._busy_slots += 1
            run.task = asyncio.ensure_future(run_body(body))
            run.task.add_done_callback(functools.partial(self._free_slot, run))

    def _free_slot(self, run: RunningTask, _: asyncio.Task[None]) -> None:
        self._busy_slots -= 1
        self._running.pop(run.number, None)
        self._fill_slots()

    def _queue_callback(self, callback: Callable[..., Any] | None, value: Any) -> None:
        if callback is None:
            return
        self._callbacks.put(lambda: callback(value))
        if self._hub is not None:
            self._hub.call_soon(self._drain_on_hub)

    def _drain_on_hub(self) -> None:
        """Run the callbacks, then wake the hub once more.

        The callbacks queue acknowledgements on the hub. Without the wake-up, kombu would process them only after its
        next poll, up to a second later. Only a call from another thread wakes the hub.
        """
        self._drain_callbacks(0)
        loop_thread().loop.call_soon_threadsafe(self._hub.call_soon, int)

    def _drain_callbacks(self, wait_seconds: float) -> None:
        try:
            while True:
                callback = self._callbacks.get(block=wait_seconds > 0, timeout=wait_seconds or None)
                wait_seconds = 0
                try:
                    callback()
                except Exception:
                    logger.exception("pool_callback_failed")
        except queue.Empty:
            return


def _terminated(run: RunningTask) -> ExceptionInfo:
    try:
        run.raise_terminated()
    except Terminated:
        return ExceptionInfo(sys.exc_info())
