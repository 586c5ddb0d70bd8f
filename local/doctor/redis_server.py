"""Whether Redis and the broker can be used, and whether they lose nothing."""

import socket
import time
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from redis import RedisError

from jobs.errors import QueueFull, StoreUnavailable
from jobs.settings import Settings
from jobs.storage.redis_client import connect
from jobs.storage.server_info import server_info, write_probe
from jobs.storage.sync_store import Store
from local import preflight
from local.doctor.finding import Finding, Level
from local.errors import CannotStart

_MAX_SKEW_SECONDS: Final = 5.0
_CONNECT_SECONDS: Final = 3.0
_BROKER_PORTS: Final = {"amqp": 5672, "amqps": 5671, "pyamqp": 5672}


def check_redis(settings: Settings) -> Iterator[Finding]:
    try:
        preflight.check_redis(settings)
    except CannotStart as error:
        if settings.has_embedded_redis:
            yield Finding("redis", Level.NOTE, "the embedded server does not run: `chatqueue up` starts it")
        else:
            yield Finding("redis", Level.PROBLEM, str(error))
        return
    yield Finding("redis", Level.OK, preflight.redis_address(settings))
    for hazard in preflight.redis_hazards(settings):
        yield Finding("redis", Level.PROBLEM, hazard)
    yield from _check_writes(settings)
    yield from _check_clock(settings)


def check_broker(settings: Settings) -> Iterator[Finding]:
    """Another broker than the records' Redis must be reachable. Its password is checked by the processes."""
    if settings.broker_is_record_store:
        return
    parts = urlsplit(settings.broker_url.get_secret_value())
    host, port = parts.hostname, parts.port or _BROKER_PORTS.get(parts.scheme, 6379)
    if not host:
        return  # a socket, or Sentinels
    try:
        socket.create_connection((host, port), _CONNECT_SECONDS).close()
    except OSError as error:
        problem = f"the broker at {host}:{port} cannot be reached ({error.strerror or type(error).__name__})"
        yield Finding("broker", Level.PROBLEM, f"{problem}: start it, or correct CELERY_BROKER_URL")
    else:
        yield Finding("broker", Level.OK, f"{host}:{port}")


def _check_writes(settings: Settings) -> Iterator[Finding]:
    store = Store.open(settings)
    try:
        info = store.run(server_info())
        if info.is_fuller_than(settings.max_memory_percent):
            advice = "raise its maxmemory, or lower CHATQUEUE_RESULT_TTL_SECONDS"
            yield Finding("redis", Level.PROBLEM, f"Redis is nearly full, so submits get 429: {advice}")
        store.run(write_probe())
    except QueueFull:
        yield Finding("redis", Level.PROBLEM, "Redis has no memory left: raise its maxmemory")
    except StoreUnavailable as error:
        yield Finding("redis", Level.PROBLEM, f"{error.message}: see docs/operations.md#redis")
    finally:
        store.close()


def _check_clock(settings: Settings) -> Iterator[Finding]:
    try:
        seconds, microseconds = connect(settings).time()
    except (RedisError, OSError):
        return
    skew = time.time() - (int(seconds) + int(microseconds) / 1_000_000)
    if abs(skew) > _MAX_SKEW_SECONDS:
        problem = f"the clock of this machine is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} that of Redis"
        yield Finding("clock", Level.WARNING, f"{problem}: synchronise both with NTP (timedatectl set-ntp true)")
