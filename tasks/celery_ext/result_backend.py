"""Patches Celery's result backend: its connections treat "not now" as a lost connection, like those to the broker.

Jobs do not use the backend. But for a message that names an unknown task, and for other Celery tasks, the worker writes
a result, and an error reply would end it.

Only workers load this module.
"""

from typing import Any

from celery.backends.redis import RedisBackend

from tasks.celery_ext.redis_connection import as_lost_connections

_create_client = RedisBackend._create_client  # noqa: SLF001  # the one place where Celery creates a client, also for Sentinels


def _create_client_over_lost_connections(backend: Any, **options: Any) -> Any:
    client = _create_client(backend, **options)
    pool = client.connection_pool
    pool.connection_class = as_lost_connections(pool.connection_class)
    return client


RedisBackend._create_client = _create_client_over_lost_connections  # noqa: SLF001
