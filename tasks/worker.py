"""Wires a worker process: loaded by workers only, through celeryconfig.imports."""

import logging
from typing import Any

import click
from celery.signals import setup_logging, worker_init, worker_process_init, worker_ready, worker_shutting_down

from jobs.settings import get_settings
from tasks import pool, run_job
from tasks.loop import loop_thread
from tasks.runtime import runtime

__all__ = ["run_job"]  # importing it registers the task


@worker_init.connect  # type: ignore[untyped-decorator]
def choose_pool(sender: Any, **_: Any) -> None:
    """Give each pool a concurrency that fits it, unless the command line says one.

    Celery takes ``-P prefork`` for "no -P given" and would use the configured pool: asked for, prefork is meant.
    """
    if sender.pool_cls is pool.TaskPool and _is_given("pool"):
        sender.pool_cls = "prefork"
    if _is_given("concurrency"):
        return
    settings = get_settings()
    name = getattr(sender.pool_cls, "__module__", sender.pool_cls)
    if name == pool.__name__:
        sender.concurrency = settings.worker_concurrency
    elif "thread" in name:
        sender.concurrency = settings.worker_threads


@worker_ready.connect  # type: ignore[untyped-decorator]
def start_runtime(sender: Any, **_: Any) -> None:
    """Prefork's parent runs no jobs; its children start their own."""
    if not sender.pool.uses_semaphore:
        runtime()


@worker_process_init.connect  # type: ignore[untyped-decorator]
def start_child_runtime(**_: Any) -> None:
    runtime()


@worker_shutting_down.connect  # type: ignore[untyped-decorator]
def drain(**_: Any) -> None:
    loop_thread().loop.call_soon_threadsafe(lambda: runtime().drain())


@setup_logging.connect  # type: ignore[untyped-decorator]
def configure_logging(loglevel: int | None = None, **_: Any) -> None:
    """One plain line an event on standard error, for our loggers and Celery's."""
    logging.basicConfig(level=loglevel, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.captureWarnings(capture=True)
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # one line a call otherwise


def _is_given(option: str) -> bool:
    """True when the command line (or its environment variable) names this option of ``celery worker``."""
    context = click.get_current_context(silent=True)
    source = context and context.get_parameter_source(option)
    return source not in (None, click.core.ParameterSource.DEFAULT, click.core.ParameterSource.DEFAULT_MAP)
