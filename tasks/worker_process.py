"""The objects of a worker process on its event loop: the services of its attempts, and its background tasks.

Started when the process is ready for jobs, or by its first job, whichever comes first. A forked child starts its own.
Prefork's parent has no runtime, but a heartbeat: it takes the jobs that its children run.

Logs:
    background_task_ended  error: a background task has failed, so the process ends with a non-zero exit code
"""

import asyncio
import contextlib
import gc
import logging
import os
import socket
import threading
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from jobs.errors import StoreUnavailable
from jobs.settings import Settings, get_settings
from jobs.storage import keys
from jobs.storage.async_store import AsyncStore
from jobs.storage.redis_client import connect_async
from jobs.storage.scripts import load_all_scripts
from jobs.workers import WorkerStatus
from tasks import app
from tasks.attempt.claim_gate import ClaimGate
from tasks.attempt.metrics import AttemptMetrics
from tasks.attempt.steps import AttemptServices
from tasks.celery_ext.event_loop import loop_thread
from tasks.document_storage import DocumentStorage
from tasks.documents.services import DocumentServices
from tasks.governor import Governor
from tasks.heartbeat import Heartbeat
from tasks.maintenance.dispatcher import Dispatcher
from tasks.maintenance.document_cleanup import DocumentCleanup
from tasks.maintenance.model_list import ModelListRefresher
from tasks.maintenance.recovery import Recovery
from tasks.metrics_flush import MetricsFlush
from tasks.notifications import listen_forever
from tasks.outbox import Outbox
from tasks.provider.providers import Providers
from tasks.provider.quarantine import Quarantine
from tasks.publisher import Publisher
from tasks.queue_message import make_message_template

logger = logging.getLogger(__name__)
_FINAL_WRITES_SECONDS: Final = 0.5  # the time of a stopping worker to release its jobs
_CHILD_END_SECONDS: Final = 1.0  # the time of a prefork child to release its job before it ends
_EXIT_FAILURE: Final = 1
_GC_THRESHOLD: Final = 50_000  # new objects; Python's 700 cost a quarter of all CPU with 1,000 calls in flight


@dataclass
class Runtime:
    """One for each worker process; everything in it belongs to that process' event loop."""

    services: AttemptServices
    metrics: MetricsFlush
    background_tasks: Sequence[Callable[[], Coroutine[Any, Any, None]]]  # each runs until the process ends
    is_stopping: bool = False  # messages that still arrive are returned to the broker
    end_process: Callable[[], None] | None = None  # for a worker; without it, the process is a prefork child

    def drain(self) -> None:
        """End the grace period: release all running jobs. May be called from any thread, and from a signal handler."""
        self.is_stopping = True
        loop_thread().loop.call_soon_threadsafe(self._drain)

    def add_metrics(self) -> None:
        """Add the last counts of a process that ends. Gives up after a moment: during an outage they are lost."""
        flush = asyncio.run_coroutine_threadsafe(self.metrics.flush(), loop_thread().loop)
        with contextlib.suppress(TimeoutError, StoreUnavailable):
            flush.result(_FINAL_WRITES_SECONDS)

    def _drain(self) -> None:
        """Without Redis no job can be released. The worker exits nevertheless, and the leases expire."""
        self.services.heartbeat.drain()
        asyncio.get_running_loop().call_later(_FINAL_WRITES_SECONDS, self.services.store.stop_waiting)


_lock = threading.Lock()
_by_process: dict[int, Runtime] = {}


def runtime() -> Runtime:
    """The runtime of this process. May be called from any thread, the loop's own included."""
    current = _by_process.get(os.getpid())
    return current or _start()


def running() -> Runtime | None:
    """The runtime of this process, if it has one."""
    return _by_process.get(os.getpid())


def _start() -> Runtime:
    with _lock:
        pid = os.getpid()
        if pid in _by_process:
            return _by_process[pid]
        _by_process.clear()  # a runtime that a fork copied belongs to the parent
        new_runtime = _by_process[pid] = _build(get_settings(), f"{socket.gethostname()}:{pid}")
        loop_thread().loop.call_soon_threadsafe(_start_background_tasks, new_runtime)
        _tune_garbage_collector()
        return new_runtime


def _tune_garbage_collector() -> None:
    """Collect less often, and exclude the objects loaded so far, which live as long as the process."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GC_THRESHOLD)


def _build(settings: Settings, worker: str) -> Runtime:
    load_all_scripts()
    store = AsyncStore.open(settings)
    message_template = make_message_template(app, settings)
    governor = Governor(store, settings)
    provider = Providers(settings, governor)
    document_storage = DocumentStorage(settings, store, worker)
    publisher = Publisher(app, settings)
    outbox = Outbox(store, message_template, publisher)
    heartbeat = Heartbeat(worker, store, message_template, settings)
    metrics = MetricsFlush(store)
    services = AttemptServices(
        settings=settings,
        worker=worker,
        store=store,
        message_template=message_template,
        heartbeat=heartbeat,
        outbox=outbox,
        governor=governor,
        provider=provider,
        quarantine=Quarantine(settings.quarantine_processes),
        documents=DocumentServices(settings, store, document_storage, provider, governor),
        claim_gate=ClaimGate(store),
        metrics=AttemptMetrics(metrics.counts, settings),
    )
    dispatcher = Dispatcher(worker, store, message_template.queue, outbox)
    handlers = {keys.CANCELLED_CHANNEL: heartbeat.on_cancelled, keys.OPENING_CHANNEL: dispatcher.on_opening}
    background_tasks = (
        services.claim_gate.watch_forever,
        heartbeat.renew_forever,
        metrics.run_forever,
        partial(listen_forever, connect_async(settings), handlers, settings.heartbeat_seconds),
        Recovery(worker, store, message_template, publisher, settings).run_forever,
        dispatcher.run_forever,
        *(() if settings.providers_file else (ModelListRefresher(worker, store, provider).run_forever,)),
        DocumentCleanup(worker, store, document_storage).run_forever,
    )
    return Runtime(services, metrics, background_tasks)


def start_reporting(
    read_status: Callable[[], WorkerStatus],
    take_jobs: Callable[[bool], None],
    end_process: Callable[[], None],
    runs_jobs: bool,
) -> Heartbeat:
    """Report the worker's status with each heartbeat.

    ``take_jobs`` is called with whether the worker may take jobs, ``end_process`` if a background task fails.
    """
    if runs_jobs:
        current = runtime()
        current.end_process, heartbeat = end_process, current.services.heartbeat
        gate = current.services.claim_gate
    else:
        heartbeat, gate = _start_parent(get_settings(), end_process)
    heartbeat.report(read_status)
    loop_thread().loop.call_soon_threadsafe(gate.notify, take_jobs)
    loop_thread().loop.call_soon_threadsafe(heartbeat.renew_soon)
    return heartbeat


def _start_parent(settings: Settings, end_process: Callable[[], None]) -> tuple[Heartbeat, ClaimGate]:
    """The heartbeat and the gate of prefork's parent, which holds no leases but takes the jobs of its children."""
    worker = f"{socket.gethostname()}:{os.getpid()}"
    store, message_template = AsyncStore.open(settings), make_message_template(app, settings)
    heartbeat = Heartbeat(worker, store, message_template, settings)
    gate = ClaimGate(store)
    for background_task in (heartbeat.renew_forever, gate.watch_forever):
        loop_thread().loop.call_soon_threadsafe(_start_background_task, background_task, end_process)
    return heartbeat, gate


def _start_background_tasks(new_runtime: Runtime) -> None:
    def end_process() -> None:
        (new_runtime.end_process or partial(_end_child, new_runtime))()

    for background_task in new_runtime.background_tasks:
        _start_background_task(background_task, end_process)


def _start_background_task(
    background_task: Callable[[], Coroutine[Any, Any, None]], end_process: Callable[[], None]
) -> None:
    def end_if_failed(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            # Only the error's type: its text may quote an answer.
            logger.critical("background_task_ended error=%s", type(task.exception()).__name__)
            end_process()  # a supervisor restarts it; a worker without one of its tasks is worse than none

    asyncio.ensure_future(background_task()).add_done_callback(end_if_failed)


def _end_child(child_runtime: Runtime) -> None:
    """End a prefork child, which the pool replaces."""
    child_runtime.drain()
    asyncio.get_running_loop().call_later(_CHILD_END_SECONDS, os._exit, _EXIT_FAILURE)
