"""What a worker process has once: its stores, provider client, heartbeat and recovery duties, on its event loop.

Started when the process is ready for jobs, or by its first job, whichever comes first. A forked child starts its own.
"""

import asyncio
import gc
import logging
import os
import socket
import threading
from dataclasses import dataclass
from typing import Final

from jobs.settings import Settings, get_settings
from jobs.storage.async_store import AsyncStore
from jobs.storage.message_template import Bell
from jobs.storage.redis_client import connect_async
from tasks import app
from tasks.celery_ext.event_loop import loop_thread
from tasks.document_storage import Library
from tasks.leases import Heartbeat
from tasks.maintenance.document_cleanup import Leftovers
from tasks.maintenance.model_list import Catalogue
from tasks.maintenance.recovery import Recovery
from tasks.provider.client import Provider
from tasks.provider.quarantine import Quarantine
from tasks.queue_message import make_bell

logger = logging.getLogger(__name__)
_LAST_WRITES_SECONDS: Final = 0.5  # for what a stopping worker gives back
_COLLECT_AFTER: Final = 50_000  # new objects; Python's 700 cost a quarter of all CPU with 1,000 calls in flight


@dataclass
class Runtime:
    """One for each worker process; everything in it belongs to that process' loop."""

    settings: Settings
    worker: str
    store: AsyncStore
    bell: Bell
    provider: Provider
    heartbeat: Heartbeat
    recovery: Recovery
    quarantine: Quarantine
    catalogue: Catalogue
    library: Library
    leftovers: Leftovers
    is_stopping: bool = False  # a bell that still comes in goes back to the broker

    def give_back(self) -> None:
        """The worker stops and its grace period is over. May be called from any thread, and from a signal handler."""
        self.is_stopping = True
        loop_thread().loop.call_soon_threadsafe(self._give_back)

    def _give_back(self) -> None:
        """While Redis is away nothing can be given back: then the leases expire, and the worker exits all the same."""
        self.heartbeat.give_back()
        asyncio.get_running_loop().call_later(_LAST_WRITES_SECONDS, self.store.stop_waiting)


_lock = threading.Lock()
_by_process: dict[int, Runtime] = {}


def runtime() -> Runtime:
    """The runtime of this process. May be called from any thread, the loop's own included."""
    current = _by_process.get(os.getpid())
    return current or _start()


def _start() -> Runtime:
    with _lock:
        pid = os.getpid()
        if pid in _by_process:
            return _by_process[pid]
        _by_process.clear()  # what a fork copied belongs to the parent
        made = _by_process[pid] = _make(get_settings(), f"{socket.gethostname()}:{pid}")
        loop_thread().loop.call_soon_threadsafe(_start_duties, made)
        _calm_the_collector()
        return made


def _calm_the_collector() -> None:
    """Garbage is looked for less often, and not among what the process has loaded, which stays as long as it does."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER)


def _make(settings: Settings, worker: str) -> Runtime:
    store = AsyncStore(connect_async(settings))
    bell = make_bell(app, settings)
    provider = Provider(settings)
    library = Library(settings)
    return Runtime(
        settings=settings,
        worker=worker,
        store=store,
        bell=bell,
        provider=provider,
        heartbeat=Heartbeat(worker, store, connect_async(settings), settings),
        recovery=Recovery(worker, store, bell, settings),
        quarantine=Quarantine(settings.quarantine_places),
        catalogue=Catalogue(worker, store, provider),
        library=library,
        leftovers=Leftovers(worker, store, library),
    )


def _start_duties(made: Runtime) -> None:
    for duty in (
        made.heartbeat.beat_forever,
        made.heartbeat.listen_forever,
        made.recovery.run_forever,
        made.catalogue.run_forever,
        made.leftovers.run_forever,
    ):
        task = asyncio.ensure_future(duty())
        task.add_done_callback(_complain_if_ended)


def _complain_if_ended(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        logger.critical("duty_ended error=%s", type(task.exception()).__name__)  # not its text: it may quote an answer
        os.kill(os.getpid(), 15)  # a worker without its duties is worse than none: stop warmly, be restarted
