"""Wires a worker process to Celery's signals. Only workers load this module, through celeryconfig.imports.

Logs:
    slots_lowered  slots, wanted, open_files: the limit of open files does not allow more
"""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import click
from billiard.common import REMAP_SIGTERM
from billiard.process import current_process
from celery.signals import (
    setup_logging,
    worker_init,
    worker_process_init,
    worker_process_shutdown,
    worker_ready,
    worker_shutdown,
    worker_shutting_down,
)

from guards import logs
from guards.file_limit import TooFewFiles, fitting, raise_file_limit
from guards.private_files import keep_new_files_private
from jobs.settings import get_settings
from tasks import app, run_job
from tasks.celery_ext import amqp_transport, asyncio_pool, pool_size, redis_transport, remote_control, result_backend
from tasks.celery_ext.event_loop import loop_thread
from tasks.celery_ext.shutdown import ReturnMessages, stop_worker, terminate_when_idle
from tasks.celery_ext.worker_status import read_status
from tasks.worker_process import running, runtime, start_reporting

__all__ = [  # imported for their effect: they patch kombu and Celery, and register remote control commands and the task
    "amqp_transport",
    "pool_size",
    "redis_transport",
    "remote_control",
    "result_backend",
    "run_job",
]

logger = logging.getLogger(__name__)

app.steps["worker"].add(ReturnMessages)

_DRAIN_SIGNAL = signal.SIGUSR2  # from prefork's parent to its children: Celery does not notify them of a shutdown


@worker_init.connect  # type: ignore[untyped-decorator]
def choose_pool(sender: Any, **_: Any) -> None:
    """Set the concurrency that suits the pool, unless the command line sets one.

    Celery treats ``-P prefork`` like a missing ``-P`` and would use the configured pool. Here it selects prefork.
    """
    keep_new_files_private()  # documents, chunks and vectors
    if sender.pool_cls is asyncio_pool.TaskPool and _is_set_on_command_line("pool"):
        sender.pool_cls = "prefork"
    settings = get_settings()
    name = getattr(sender.pool_cls, "__module__", sender.pool_cls)
    if name == asyncio_pool.__name__:
        _fit_slots(sender, settings.worker_concurrency)
    elif "thread" in name:
        _fit_slots(sender, settings.worker_threads)
    else:
        _require_files()


def _fit_slots(worker: Any, configured: int) -> None:
    """Set the slots that the limit of open files allows. The number of the command line comes before the setting."""
    wanted = worker.concurrency if _is_set_on_command_line("concurrency") else configured
    if isinstance(wanted, int):
        worker.wanted_slots, worker.concurrency = wanted, _require_files(wanted)
    else:  # `-c auto`: the number of processors
        _require_files()


def _require_files(slots: int = 1) -> int:
    """How many of these slots fit. Ends a worker for which not one does."""
    try:
        return fitting(slots, pool_size.FILES_PER_SLOT)
    except TooFewFiles as error:
        sys.exit(str(error))  # Celery logs any other exception, and continues


@worker_init.connect  # type: ignore[untyped-decorator]
def require_api_keys(**_: Any) -> None:
    """End a worker whose providers file names a key that is not set: each job of that provider would fail."""
    try:
        get_settings().providers.check_api_keys()
    except ValueError as error:
        sys.exit(str(error))  # Celery logs any other exception, and continues


@worker_ready.connect  # type: ignore[untyped-decorator]
def start_runtime(sender: Any, **_: Any) -> None:
    """Start the runtime and prepare its shutdown. Prefork's parent runs no jobs; its children start their own."""
    pool = sender.controller.pool
    _log_lowered_slots(sender.controller)
    runs_jobs = not pool.uses_semaphore
    drain: Callable[[], None] = runtime().drain if runs_jobs else partial(_signal_children, pool)
    heartbeat = start_reporting(
        partial(read_status, sender), sender.take_jobs, partial(stop_worker, sender.hostname), runs_jobs
    )
    loop = loop_thread().loop

    @worker_shutting_down.connect(weak=False)  # type: ignore[untyped-decorator]
    def start_grace_period(how: str, **_: Any) -> None:
        """Warm: running jobs have the grace period to finish. Cold: they go back to the queue immediately.

        Runs in a signal handler, so it takes no lock.
        """
        if runs_jobs:
            runtime().is_stopping = True
        grace_seconds = get_settings().grace_seconds if how == "Warm" else 0
        loop.call_soon_threadsafe(loop.call_later, grace_seconds, drain)
        loop.call_soon_threadsafe(heartbeat.renew_soon)
        loop.call_soon_threadsafe(sender.wake)
        if how == "Cold":
            asyncio.run_coroutine_threadsafe(terminate_when_idle(), loop).add_done_callback(lambda _: sender.wake())


def _log_lowered_slots(worker: Any) -> None:
    wanted = getattr(worker, "wanted_slots", worker.concurrency)
    if worker.concurrency < wanted:
        logger.warning("slots_lowered slots=%d wanted=%d open_files=%d", worker.concurrency, wanted, raise_file_limit())


def _signal_children(pool: Any) -> None:
    """Tell the children of a prefork pool to release their jobs."""
    try:
        pids = pool.info["processes"]
    except AttributeError:  # the pool has stopped and has no children left
        return
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, _DRAIN_SIGNAL)


@worker_process_init.connect  # type: ignore[untyped-decorator]
def start_child_runtime(**_: Any) -> None:
    """Start the runtime of a prefork child, or of a worker on the solo pool.

    A SIGQUIT to the whole process group must not end the child before it has released its job. billiard sets its own
    handler later, so the signal is blocked. Where it stands for SIGTERM, billiard itself needs it to end a child.
    """
    if current_process().name != "MainProcess" and not REMAP_SIGTERM:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGQUIT})
    drain = runtime().drain
    signal.signal(_DRAIN_SIGNAL, lambda *_: drain())


@worker_shutdown.connect  # type: ignore[untyped-decorator]
@worker_process_shutdown.connect  # type: ignore[untyped-decorator]
def add_last_metrics(**_: Any) -> None:
    """The process has no more jobs: a worker, or a child of the prefork pool."""
    if (current := running()) is not None:
        current.add_metrics()


@setup_logging.connect  # type: ignore[untyped-decorator]
def configure_logging(loglevel: int | None = None, **_: Any) -> None:
    """Log one plain line per event to standard error, for our loggers and Celery's.

    The level is that of the settings, unless the command line sets one.
    """
    from_command_line = loglevel if _is_set_on_command_line("loglevel") else None
    settings = get_settings()
    logs.configure_logging(from_command_line or settings.log_level, settings.log_format)
    logging.captureWarnings(capture=True)
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # below that it logs a line for each call


def _is_set_on_command_line(option: str) -> bool:
    """Whether the command line, or its environment variable, sets this option of ``celery worker``."""
    context = click.get_current_context(silent=True)
    source = context and context.get_parameter_source(option)
    return source not in (None, click.core.ParameterSource.DEFAULT, click.core.ParameterSource.DEFAULT_MAP)
