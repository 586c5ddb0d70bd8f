"""Wires a worker process to Celery's signals. Only workers load this module, through celeryconfig.imports."""

import contextlib
import logging
import os
import signal
import threading
from typing import Any

import click
from celery.signals import (
    setup_logging,
    worker_init,
    worker_process_init,
    worker_ready,
    worker_shutting_down,
)

from jobs.settings import get_settings
from tasks import run_job
from tasks.celery_ext import amqp_transport, asyncio_pool, redis_transport, remote_control
from tasks.worker_process import runtime

__all__ = [  # imported for their effect: they patch kombu, and register remote control commands and the task
    "amqp_transport",
    "redis_transport",
    "remote_control",
    "run_job",
]

_DRAIN_SIGNAL = signal.SIGUSR2  # from prefork's parent to its children: Celery does not notify them of a shutdown


@worker_init.connect  # type: ignore[untyped-decorator]
def choose_pool(sender: Any, **_: Any) -> None:
    """Set the concurrency that suits the pool, unless the command line sets one.

    Celery treats ``-P prefork`` like a missing ``-P`` and would use the configured pool. Here it selects prefork.
    """
    if sender.pool_cls is asyncio_pool.TaskPool and _is_set_on_command_line("pool"):
        sender.pool_cls = "prefork"
    if not _is_set_on_command_line("concurrency"):
        settings = get_settings()
        name = getattr(sender.pool_cls, "__module__", sender.pool_cls)
        if name == asyncio_pool.__name__:
            sender.concurrency = settings.worker_concurrency
        elif "thread" in name:
            sender.concurrency = settings.worker_threads


@worker_ready.connect  # type: ignore[untyped-decorator]
def start_runtime(sender: Any, **_: Any) -> None:
    """Start the runtime and prepare its shutdown. Prefork's parent runs no jobs; its children start their own."""
    worker = sender.controller
    drain = _signal_children if worker.pool.uses_semaphore else _drain_own_process
    if not worker.pool.uses_semaphore:
        runtime()

    @worker_shutting_down.connect(weak=False)  # type: ignore[untyped-decorator]
    def start_grace_period(how: str, **_: Any) -> None:
        """Warm: running jobs have the grace period to finish. Cold: they go back to the queue immediately."""
        if not worker.pool.uses_semaphore:
            runtime().is_stopping = True
        grace = get_settings().grace_seconds if how == "Warm" else 0
        timer = threading.Timer(grace, drain, [worker])
        timer.daemon = True
        timer.start()


def _drain_own_process(_worker: Any) -> None:
    runtime().drain()


def _signal_children(worker: Any) -> None:
    for pid in worker.pool.info["processes"]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, _DRAIN_SIGNAL)


@worker_process_init.connect  # type: ignore[untyped-decorator]
def start_child_runtime(**_: Any) -> None:
    """Start the runtime of a prefork child."""
    runtime()
    signal.signal(_DRAIN_SIGNAL, lambda *_: runtime().drain())


@setup_logging.connect  # type: ignore[untyped-decorator]
def configure_logging(loglevel: int | None = None, **_: Any) -> None:
    """Log one plain line per event to standard error, for our loggers and Celery's.

    The level is that of the settings, unless the command line sets one.
    """
    level = loglevel if _is_set_on_command_line("loglevel") else get_settings().log_level
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.captureWarnings(capture=True)
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # below that it logs a line for each call


def _is_set_on_command_line(option: str) -> bool:
    """Whether the command line, or its environment variable, sets this option of ``celery worker``."""
    context = click.get_current_context(silent=True)
    source = context and context.get_parameter_source(option)
    return source not in (None, click.core.ParameterSource.DEFAULT, click.core.ParameterSource.DEFAULT_MAP)
