"""Readiness probes: whether a process is ready, so that the next one can start."""

import http.client
import os
import socket
import time
from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from typing import cast

import redis

from jobs.settings import Settings
from jobs.storage import keys
from jobs.storage.redis_client import connect

Probe = Callable[[], bool]
_WILDCARD_HOSTS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104  listening address: address to connect to
_HTTP_SECONDS = 2.0


def probe_for(name: str, settings: Settings) -> Probe:
    """The probe to poll until it is true. Create it before the process starts. Unknown names are ready immediately."""
    probes: dict[str, Callable[[], Probe]] = {
        "redis": lambda: partial(_redis_answers, settings),
        "model": lambda: partial(_http_ok, "127.0.0.1", settings.offline_model_port, "/health"),
        "web": lambda: partial(_http_ok, reachable_host(settings.web_host), settings.web_port, "/health/ready"),
        "worker": lambda: partial(_worker_has_heartbeat, settings, _redis_clock_ms(settings)),
        "flower": lambda: partial(_http_ok, "127.0.0.1", settings.flower_port, f"{flower_prefix()}/healthcheck"),
    }
    return probes[name]() if name in probes else lambda: True


def flower_prefix() -> str:
    """The path of Flower's own setting FLOWER_URL_PREFIX, below which it serves all pages; "" without it."""
    prefix = os.environ.get("FLOWER_URL_PREFIX", "").strip("/")
    return f"/{prefix}" if prefix else ""


def reachable_host(host: str) -> str:
    """The address at which this machine reaches a listener on `host`."""
    return _WILDCARD_HOSTS.get(host, host)


def is_answered_by_us(field: str, settings: Settings) -> bool:
    """Whether a process of ours answers at the port of this setting. Another program may listen there."""
    checks: dict[str, Callable[[], bool]] = {
        "embedded_redis_port": lambda: _redis_answers(settings),
        "offline_model_port": lambda: _http_ok("127.0.0.1", settings.offline_model_port, "/health"),
        "web_port": lambda: _web_is_ours(reachable_host(settings.web_host), settings.web_port),
        "flower_port": lambda: _http_ok("127.0.0.1", settings.flower_port, f"{flower_prefix()}/healthcheck"),
    }
    return checks[field]()


def web_url(settings: Settings) -> str:
    """The address of the web process of these settings, as programs of this machine reach it."""
    host = reachable_host(settings.web_host)
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.web_port}"


def _redis_answers(settings: Settings) -> bool:
    with suppress(redis.RedisError, OSError):
        return bool(connect(settings).ping())
    return False


def _http_ok(host: str, port: int, path: str) -> bool:
    with (
        suppress(OSError, http.client.HTTPException),
        closing(http.client.HTTPConnection(host, port, timeout=_HTTP_SECONDS)) as connection,
    ):
        connection.request("GET", path)
        return connection.getresponse().status == http.client.OK
    return False


def _web_is_ours(host: str, port: int) -> bool:
    """Whether the web process answers, even while Redis is away."""
    with (
        suppress(OSError, http.client.HTTPException),
        closing(http.client.HTTPConnection(host, port, timeout=_HTTP_SECONDS)) as connection,
    ):
        connection.request("GET", "/health/live")
        response = connection.getresponse()
        return response.status == http.client.OK and response.getheader("X-Request-Id") is not None
    return False


def _redis_clock_ms(settings: Settings) -> int:
    """The clock of Redis, which stamps heartbeats; the local clock if Redis is down, when the probe is false anyway."""
    with suppress(redis.RedisError, OSError):
        seconds, microseconds = connect(settings).time()
        return int(seconds) * 1000 + int(microseconds) // 1000
    return int(time.time() * 1000)


def _worker_has_heartbeat(settings: Settings, since_ms: int) -> bool:
    """Whether a worker of this machine has sent a heartbeat since then. Those of an earlier run do not count."""
    with suppress(redis.RedisError, OSError):
        names = cast("list[bytes]", connect(settings).zrangebyscore(keys.WORKERS, since_ms, "+inf"))
        return any(name.decode().startswith(f"{socket.gethostname()}:") for name in names)
    return False
