"""On the connections of kombu and Celery, a reply that means "not now" is a lost connection; a bug stays an error."""

import contextlib
from typing import Any

import pytest
import redis
from kombu import Connection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from tasks.celery_ext.redis_connection import RedisNotNow, RedisUnusable, as_lost_connections
from tasks.celery_ext.redis_transport import Channel, SentinelChannel
from tests.chaos.redis_server import RedisServer
from tests.support import refusals


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = RedisServer(tmp_path_factory.mktemp("refusing"), refusals.SERVER_OPTIONS)
    server.start()
    yield server
    server.end()


@pytest.fixture
def admin(server):
    with redis.Redis.from_url(server.url) as admin:
        refusals.create_user(admin)
        yield admin


@pytest.fixture
def client(server):
    """A client of the user WORKER, as kombu makes one."""
    options = {"connection_class": as_lost_connections(redis.Connection), "host": "127.0.0.1", "port": server.port}
    pool = redis.ConnectionPool(username=refusals.WORKER, password=refusals.PASSWORD, **options)
    with redis.Redis(connection_pool=pool) as client:
        yield client
    pool.disconnect()


@pytest.mark.parametrize("word", ["NOREPLICAS", "READONLY", "OOM", "MISCONF", "NOPERM"])
def test_a_refusal_closes_the_connection_and_the_next_one_works(client, admin, word):
    """The error has the first word and the missing right. A transaction and a script are refused in the same way."""
    transaction, script = client.pipeline(transaction=True), "return redis.call('SET', KEYS[1], 1)"
    client.set("a", 1)
    with refusals.REFUSALS[word](admin):
        for write in (lambda: client.set("a", 1), transaction.set("a", 1).execute, lambda: client.eval(script, 1, "a")):
            with pytest.raises(RedisNotNow) as refusal:
                write()
            reply = repr(refusal.value)
            assert reply in ({"NOPERM:set", "NOPERM:eval"} if word == "NOPERM" else {word})
            assert str(refusal.value) == f"Redis cannot serve this now ({reply})"
            assert not client.connection_pool._available_connections[-1].is_connected

    assert client.set("a", 2)


def test_a_bug_stays_the_error_that_it_is(client, admin):
    """kombu loads a script that the server lacks, and a wrong type is ours to fix: neither is a lost connection."""
    client.set("a", 1)
    for call in (
        lambda: client.evalsha("0" * 40, 0),
        lambda: client.lpush("a", 1),
        lambda: client.execute_command("X"),
    ):
        with pytest.raises(ResponseError) as error:
            call()
        assert not isinstance(error.value, RedisConnectionError)


def test_a_refusal_that_redis_py_ignores_while_it_connects_is_ignored(client, admin):
    """redis-py sends its own name first, which a user with few rights may not do."""
    admin.execute_command("ACL", "SETUSER", refusals.WORKER, "-client|setinfo")

    assert client.ping()


def test_a_database_that_does_not_exist_is_not_waited_for(server):
    """No wait makes it exist, so it is no lost connection: a worker must end."""
    connection = as_lost_connections(redis.Connection)(host="127.0.0.1", port=server.port, db=99)

    with pytest.raises(RedisUnusable, match="DB index is out of range"):
        connection.connect()
    assert not connection.is_connected


@pytest.mark.parametrize(
    ("url", "connection_class"),
    [
        ("redis://127.0.0.1:1/0", redis.Connection),
        ("rediss://127.0.0.1:1/0?ssl_cert_reqs=none", redis.SSLConnection),
        ("redis+socket:///nowhere", redis.UnixDomainSocketConnection),
        ("sentinel://127.0.0.1:1", redis.sentinel.SentinelManagedConnection),
    ],
)
@pytest.mark.parametrize("asynchronous", [True, False])
def test_kombu_gets_such_connections_for_every_kind_of_url(monkeypatch, url, connection_class, asynchronous):
    """For fetches and for publications, over TCP, TLS, a socket and Sentinels."""
    channel_class: Any = SentinelChannel if url.startswith("sentinel") else Channel
    with Connection(url) as connection, contextlib.ExitStack() as stack:
        channel = channel_class.__new__(channel_class)
        channel.connection, channel.master_name = connection.transport, "m"
        pool = channel._get_pool(asynchronous)
        stack.callback(pool.disconnect)

        assert issubclass(pool.connection_class, connection_class)
        assert pool.connection_class.__mro__[1].__name__ == "_NotNowIsLost"
        channel.connection = None


def test_celerys_result_backend_gets_such_connections(server):
    """An unknown task makes the worker itself write a result."""
    from celery import Celery

    import tasks.celery_ext.result_backend  # noqa: F401  # for its effect

    with Celery(backend=server.url, set_as_current=False) as app:
        pool = app.backend.client.connection_pool

        assert pool.connection_class.__mro__[1].__name__ == "_NotNowIsLost"
        app.backend.result_consumer.stop()
        pool.disconnect()
