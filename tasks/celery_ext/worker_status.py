"""Reads the status of a worker from Celery's consumer: whether it takes jobs, and its slots.

On Redis the truth comes from the fetches themselves: Redis must have answered one of them recently.
"""

import os
import socket
from typing import Any

from celery import bootsteps
from celery.worker import state

from jobs.storage.keys import DEFAULT_QUEUE
from jobs.version import VERSION
from jobs.workers import WorkerStatus
from tasks.celery_ext import redis_transport
from tasks.celery_ext.shutdown import is_stopping


def read_status(consumer: Any) -> WorkerStatus:
    """May be called from any thread. Never raises: a worker that starts or stops has no pool or no channel."""
    slots = _slots(consumer.pool)
    host = socket.gethostname()
    return WorkerStatus(
        name=f"{host}:{os.getpid()}",
        host=host,
        version=VERSION,
        takes_jobs=slots > 0 and _takes_jobs(consumer),
        slots=slots,
        free_slots=max(0, slots - len(state.reserved_requests)),
    )


def _slots(pool: Any) -> int:
    try:
        return int(pool.num_processes)
    except AttributeError:  # a prefork pool that has stopped
        return 0


def _takes_jobs(consumer: Any) -> bool:
    task_consumer, connection = consumer.task_consumer, consumer.connection
    if is_stopping() or consumer.blueprint.state != bootsteps.RUN or connection is None or task_consumer is None:
        return False
    return task_consumer.consuming_from(DEFAULT_QUEUE) and _is_fetching(task_consumer.channel)


def _is_fetching(channel: Any) -> bool:
    """Another broker than Redis delivers messages by itself over the connection."""
    return channel.is_fetching() if isinstance(channel, redis_transport.Channel) else channel is not None
