"""Redis clients, built in one place so that all have timeouts and none retries by itself.

redis-py's default of three retries with back-off would turn a dead server into a hang. The stores decide what is
retried, and for how long.
"""

from typing import Any, cast

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import SentinelConnectionPool

from jobs.redis_urls import RedisUrl, read
from jobs.settings import Settings
from jobs.storage.primary_watch import WatchedAsyncConnection, WatchedConnection

MAX_CONNECTIONS = 200  # per process; a round trip holds one for about a millisecond
POOL_WAIT_SECONDS = 0.4  # for a free connection; twice this plus redis_timeout_seconds is less than the 3 s of a 503


class _BlockingSentinelPool(SentinelConnectionPool, redis.BlockingConnectionPool):
    """redis-py's pool for a Sentinel's master, with the waiting of its blocking pool."""


def connect(settings: Settings) -> redis.Redis:
    """A pooled client for threads or greenlets. Opens no connection yet. Raises InvalidRedisUrl.

    In a burst, callers wait up to POOL_WAIT_SECONDS for a connection; redis-py's default pool fails them at 100.
    """
    url = read(settings.record_url.get_secret_value())
    options = {
        **_options(settings, url),
        "retry": Retry(NoBackoff(), 0),
        "max_connections": MAX_CONNECTIONS,
        "timeout": POOL_WAIT_SECONDS,
        **url.options,
    }
    if url.master is None:
        return redis.Redis.from_pool(redis.BlockingConnectionPool.from_url(url.server_url, **options))
    sentinel = sentinels(settings, url, **options)
    client = sentinel.master_for(  # type: ignore[no-untyped-call]
        url.master, connection_pool_class=_BlockingSentinelPool, connection_class=WatchedConnection
    )
    return cast("redis.Redis", client)


def sentinels(settings: Settings, url: RedisUrl, **options: Any) -> redis.Sentinel:
    """The Sentinels of this URL; ``options`` are those of a client of the primary."""
    sentinel_kwargs = url.sentinel_options(settings.redis_connect_seconds)
    return redis.Sentinel(list(url.nodes), sentinel_kwargs=sentinel_kwargs, **options)  # type: ignore[no-untyped-call]


def connect_async(settings: Settings) -> redis.asyncio.Redis:
    """An async client for one event loop, without a limit on connections. Raises InvalidRedisUrl."""
    url = read(settings.record_url.get_secret_value())
    options = {**_options(settings, url), "retry": AsyncRetry(NoBackoff(), 0), **url.options}
    if url.master is None:
        return redis.asyncio.Redis.from_url(url.server_url, **options)
    sentinel_kwargs = url.sentinel_options(settings.redis_connect_seconds)
    sentinel = redis.asyncio.Sentinel(list(url.nodes), sentinel_kwargs=sentinel_kwargs, **options)  # type: ignore[no-untyped-call]
    return cast("redis.asyncio.Redis", sentinel.master_for(url.master, connection_class=WatchedAsyncConnection))


def _options(settings: Settings, url: RedisUrl) -> dict[str, Any]:
    options: dict[str, Any] = {
        "socket_connect_timeout": settings.redis_connect_seconds,
        "socket_timeout": settings.redis_timeout_seconds,
        "protocol": 2,  # saves one round trip when a connection opens; nothing here needs RESP3
        **(url.tls or {}),
    }
    if url.socket_path is None:
        options["socket_keepalive"] = True  # redis-py's connection over a Unix socket does not accept it
    if url.master is not None:
        options |= {"db": url.db, "username": url.username, "password": url.password}
    return options
