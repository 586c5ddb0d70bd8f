"""Redis clients, built in one place so that every one of them has timeouts and none retries on its own.

redis-py's default of three retries with back-off would turn a dead server into a hang; who may retry, and for how
long, is decided by the stores.
"""

from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from jobs.settings import Settings

_SENTINEL = "sentinel://"
MAX_CONNECTIONS = 200  # of one process; a round trip holds one for about a millisecond
POOL_WAIT_SECONDS = 0.4  # for one of them; twice this and redis_timeout_seconds stay under the 3 s of a clear 503


def _options(settings: Settings) -> dict[str, Any]:
    return {
        "socket_connect_timeout": settings.redis_connect_seconds,
        "socket_timeout": settings.redis_timeout_seconds,
        "socket_keepalive": True,
        "protocol": 2,  # one round trip less when a connection opens; nothing here needs RESP3
    }


def connect(settings: Settings) -> redis.Redis:
    """A pooled client for threads or greenlets. Opens no connection yet.

    A burst waits a moment for a connection instead of failing at once, as redis-py's own pool does at 100.
    """
    url = settings.record_url.get_secret_value()
    options = _options(settings) | {"retry": Retry(NoBackoff(), 0)}
    if url.startswith(_SENTINEL):
        nodes, master, extra = _read_sentinel_url(url)
        sentinel = redis.Sentinel(nodes, sentinel_kwargs=options, **options, **extra)  # type: ignore[no-untyped-call]
        client = sentinel.master_for(master, max_connections=MAX_CONNECTIONS)  # type: ignore[no-untyped-call]
        return cast("redis.Redis", client)
    pool = redis.BlockingConnectionPool.from_url(
        url, max_connections=MAX_CONNECTIONS, timeout=POOL_WAIT_SECONDS, **options
    )
    return redis.Redis.from_pool(pool)


def connect_async(settings: Settings) -> redis.asyncio.Redis:
    """The same for one event loop."""
    url = settings.record_url.get_secret_value()
    options = _options(settings) | {"retry": AsyncRetry(NoBackoff(), 0)}
    if url.startswith(_SENTINEL):
        nodes, master, extra = _read_sentinel_url(url)
        sentinel = redis.asyncio.Sentinel(nodes, sentinel_kwargs=options, **options, **extra)  # type: ignore[no-untyped-call]
        return cast("redis.asyncio.Redis", sentinel.master_for(master))
    return redis.asyncio.Redis.from_url(url, **options)


def _read_sentinel_url(url: str) -> tuple[list[tuple[str, int]], str, dict[str, Any]]:
    """Read ``sentinel://[user:password@]host:port[,host:port...]/db?master=NAME``.

    Raises ValueError when the name of the master is missing.
    """
    parts = urlsplit(url)
    credentials, _, hosts = parts.netloc.rpartition("@")
    nodes = []
    for host in hosts.split(","):
        name, _, port = host.partition(":")
        nodes.append((name, int(port or 26379)))
    master = parse_qs(parts.query).get("master", [""])[0]
    if not master:
        raise ValueError("REDIS_URL: a sentinel:// URL needs ?master=NAME")
    user, _, password = credentials.partition(":")
    extra = {"db": int(parts.path.strip("/") or 0), "username": user or None, "password": password or None}
    return nodes, master, extra
