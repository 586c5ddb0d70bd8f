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
    web, loopback = reachable_host(settings.web_host), "127.0.0.1"
    health = f"{flower_prefix()}/healthcheck"
    checks: dict[str, Probe] = {
        "embedded_redis_port": partial(_redis_answers, settings),
        "offline_model_port": partial(_http_ok, loopback, settings.offline_model_port, "/health", "Server", "aiohttp"),
        "web_port": partial(_http_ok, web, settings.web_port, "/health/live", "X-Request-Id", "req_"),
        "flower_port": partial(_http_ok, loopback, settings.flower_port, health, "Server", "Tornado"),
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


def _http_ok(host: str, port: int, path: str, header: str = "Date", part: str = "") -> bool:
    """Whether the answer is 200, and this part is in this header: another program has other headers."""
    with (
        suppress(OSError, http.client.HTTPException),
        closing(http.client.HTTPConnection(host, port, timeout=_HTTP_SECONDS)) as connection,
    ):
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status == http.client.OK and part in response.getheader(header, "")
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
