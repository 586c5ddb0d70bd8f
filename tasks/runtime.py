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
from jobs.storage.message_template import MessageTemplate
from jobs.storage.redis_client import connect_async
from tasks import app
from tasks.celery_ext.event_loop import loop_thread
from tasks.document_storage import DocumentStorage
from tasks.leases import Heartbeat
from tasks.maintenance.document_cleanup import DocumentCleanup
from tasks.maintenance.model_list import ModelListRefresher
from tasks.maintenance.recovery import Recovery
from tasks.provider.client import Provider
from tasks.provider.quarantine import Quarantine
from tasks.queue_message import make_message_template

logger = logging.getLogger(__name__)
_FINAL_WRITES_SECONDS: Final = 0.5  # for what a stopping worker gives back
_GC_THRESHOLD: Final = 50_000  # new objects; Python's 700 cost a quarter of all CPU with 1,000 calls in flight


@dataclass
class Runtime:
    """One for each worker process; everything in it belongs to that process' loop."""

    settings: Settings
    worker: str
    store: AsyncStore
    message_template: MessageTemplate
    provider: Provider
    heartbeat: Heartbeat
    recovery: Recovery
    quarantine: Quarantine
    model_list_refresher: ModelListRefresher
    document_storage: DocumentStorage
    document_cleanup: DocumentCleanup
    is_stopping: bool = False  # a message that still comes in goes back to the broker

    def drain(self) -> None:
        """The worker stops and its grace period is over. May be called from any thread, and from a signal handler."""
        self.is_stopping = True
        loop_thread().loop.call_soon_threadsafe(self._drain)

    def _drain(self) -> None:
        """While Redis is away nothing can be given back: then the leases expire, and the worker exits all the same."""
        self.heartbeat.drain()
        asyncio.get_running_loop().call_later(_FINAL_WRITES_SECONDS, self.store.stop_waiting)


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
        new_runtime = _by_process[pid] = _build(get_settings(), f"{socket.gethostname()}:{pid}")
        loop_thread().loop.call_soon_threadsafe(_start_background_tasks, new_runtime)
        _tune_garbage_collector()
        return new_runtime


def _tune_garbage_collector() -> None:
    """Garbage is looked for less often, and not among what the process has loaded, which stays as long as it does."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GC_THRESHOLD)


def _build(settings: Settings, worker: str) -> Runtime:
    store = AsyncStore(connect_async(settings))
    message_template = make_message_template(app, settings)
    provider = Provider(settings)
    document_storage = DocumentStorage(settings)
    return Runtime(
        settings=settings,
        worker=worker,
        store=store,
        message_template=message_template,
        provider=provider,
        heartbeat=Heartbeat(worker, store, connect_async(settings), settings),
        recovery=Recovery(worker, store, message_template, settings),
        quarantine=Quarantine(settings.quarantine_processes),
        model_list_refresher=ModelListRefresher(worker, store, provider),
        document_storage=document_storage,
        document_cleanup=DocumentCleanup(worker, store, document_storage),
    )


def _start_background_tasks(new_runtime: Runtime) -> None:
    for background_task in (
        new_runtime.heartbeat.renew_forever,
        new_runtime.heartbeat.listen_forever,
        new_runtime.recovery.run_forever,
        new_runtime.model_list_refresher.run_forever,
        new_runtime.document_cleanup.run_forever,
    ):
        task = asyncio.ensure_future(background_task())
        task.add_done_callback(_stop_worker_if_failed)


def _stop_worker_if_failed(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        logger.critical(
            "background_task_ended error=%s", type(task.exception()).__name__
        )  # not its text: it may quote an answer
        os.kill(os.getpid(), 15)  # a worker without its duties is worse than none: stop warmly, be restarted
