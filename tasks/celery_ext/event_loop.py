"""The event loop of a worker process, in its own thread, and the bridge from Celery's synchronous task bodies.

A body calls ``wait_for(coroutine)``. On the asyncio pool the body runs in a greenlet on the loop: the greenlet passes
the coroutine to its driver and sleeps, and the loop continues. On threads, prefork and solo the calling thread blocks
while the loop does the work. So the same body runs on every pool.
"""

import asyncio
import concurrent.futures
import os
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from greenlet import getcurrent, greenlet

T = TypeVar("T")

SIGNAL_SECONDS: Final = 0.2  # a stop must be noticed well within the second that a cold shutdown takes


class LoopThread:
    """One running event loop. Created once for each process, because a fork does not copy threads."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="chatqueue-loop", daemon=True)
        self._thread.start()

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop and wait for it, from another thread. Raises what the coroutine raises.

        Python runs signal handlers in the main thread, between two steps of its code. A signal that comes just before
        a wait is noticed after it, so the main thread waits in short steps.
        """
        future = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        if threading.current_thread() is threading.main_thread():
            while not future.done():
                concurrent.futures.wait([future], SIGNAL_SECONDS)
        return future.result()

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()
        self.loop.close()


_lock = threading.Lock()
_by_process: dict[int, LoopThread] = {}


def loop_thread() -> LoopThread:
    """The loop of this process, started by the first call. Later calls take no lock, so a signal handler may call."""
    pid = os.getpid()
    if (running := _by_process.get(pid)) is not None:
        return running
    with _lock:
        if pid not in _by_process:
            _by_process.clear()  # an entry that a fork copied belongs to the parent
            _by_process[pid] = LoopThread()
        return _by_process[pid]


class _BodyGreenlet(greenlet):  # type: ignore[misc]  # greenlet ships no types for subclassing
    """A task body on the loop: it passes each coroutine it waits for to ``run_body``."""


async def run_body(body: Callable[[], T]) -> T:
    """Run a synchronous body on this loop; while the body waits for a coroutine, the loop continues."""
    child = _BodyGreenlet(body, getcurrent())
    awaitable = child.switch()
    while not child.dead:
        try:
            value = await awaitable
        except BaseException as error:  # noqa: BLE001  # cancellation is raised in the body too
            awaitable = child.throw(error)
        else:
            awaitable = child.switch(value)
    result: T = awaitable
    return result


def wait_for(coroutine: Coroutine[Any, Any, T]) -> T:
    """Wait for a coroutine from a task body, on any pool. Raises what the coroutine raises."""
    current = getcurrent()
    if isinstance(current, _BodyGreenlet):
        result: T = current.parent.switch(coroutine)
        return result
    return loop_thread().call(coroutine)
