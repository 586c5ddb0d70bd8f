"""The event loop of a worker process, in a thread of its own, and the bridge from Celery's synchronous task bodies.

A body calls ``wait_for(coroutine)``. On the asyncio pool the body runs in a greenlet on the loop: the greenlet hands
the coroutine up to its driver and sleeps, and the loop goes on. On threads, prefork and solo the calling thread
blocks while the loop does the work. So one body serves every pool.
"""

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from greenlet import getcurrent, greenlet

T = TypeVar("T")


class LoopThread:
    """One running event loop. Made once for each process: a fork does not take threads along."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="chatqueue-loop", daemon=True)
        self._thread.start()

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run on the loop and wait for it, from another thread. Raises what the coroutine raises."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()

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
    """The loop of this process, started at the first call. After that no lock is taken: a signal handler may call."""
    pid = os.getpid()
    if (started := _by_process.get(pid)) is not None:
        return started
    with _lock:
        if pid not in _by_process:
            _by_process.clear()  # what a fork copied belongs to the parent
            _by_process[pid] = LoopThread()
        return _by_process[pid]


class _BodyGreenlet(greenlet):  # type: ignore[misc]  # greenlet ships no types for subclassing
    """A task body on the loop: what it waits for goes up to ``run_body``."""


async def run_body(body: Callable[[], T]) -> T:
    """Run a synchronous body on this loop; whenever it waits for a coroutine, the loop goes on."""
    child = _BodyGreenlet(body, getcurrent())
    awaitable = child.switch()
    while not child.dead:
        try:
            value = await awaitable
        except BaseException as error:  # noqa: BLE001  # a cancel too belongs to the body
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
