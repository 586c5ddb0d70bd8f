"""Fixtures of all tests: one Redis server that the suite starts itself, the offline model, settings and clients."""

import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager

import pytest
import redis
from celery import Celery

from jobs.settings import Settings
from jobs.storage.redis_client import connect
from jobs.storage.sync_store import Store
from local.redis_server import find_binary, server_arguments
from tests.support.processes import free_port, only_light_programs, running


@pytest.hookimpl(tryfirst=True)  # before `-m` selects by marker
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test that requests the fixture `processes`, directly or through another fixture."""
    for item in items:
        if isinstance(item, pytest.Function) and "processes" in item.fixturenames:
            item.add_marker("processes")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Fail a test that starts a heavy process without the marker: `make test-fast` would run it."""
    if item.get_closest_marker("processes"):
        return (yield)
    with only_light_programs():
        return (yield)


@pytest.fixture(scope="session")
def processes() -> None:
    """Requested by every fixture that starts a web process, a worker or another heavy program."""


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The suite's own Redis server for the whole session, started as `make up` starts it, but without a password."""
    port = free_port()
    settings = Settings(embedded_redis_port=port, data_dir=tmp_path_factory.mktemp("redis"))
    with running(server_arguments(find_binary(), settings), ready="Ready to accept connections"):
        yield f"redis://127.0.0.1:{port}/0"


@pytest.fixture
def redis_client(redis_url: str) -> Iterator[redis.Redis]:
    """A client of the emptied database. Only the suite's own server may be flushed."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
        yield client


@pytest.fixture(scope="session")
def model_url() -> Iterator[str]:
    """The URL of the offline model, a real HTTP server."""
    with _offline_model() as url:
        yield url


@pytest.fixture(scope="session")
def responses_model_url() -> Iterator[str]:
    """The URL of an offline model that also supports Responses."""
    with _offline_model("--responses") as url:
        yield url


@contextmanager
def _offline_model(*options: str) -> Iterator[str]:
    args = [sys.executable, "-m", "local.offline_model", "--port", "0", *options]
    with running(args, ready="offline model listening on ") as process:
        yield process.wait_for("listening on").split()[-1]


@pytest.fixture(scope="module", params=["chat", "responses"])
def upstream_url(request: pytest.FixtureRequest) -> str:
    """A provider that supports chat completions only, then one that supports Responses: clients see no difference."""
    name = "model_url" if request.param == "chat" else "responses_model_url"
    return request.getfixturevalue(name)


@pytest.fixture
def settings(redis_url: str) -> Settings:
    """Default settings with the suite's Redis."""
    return Settings(REDIS_URL=redis_url)


@pytest.fixture
def store(redis_client: redis.Redis, settings: Settings) -> Iterator[Store]:
    """The store over an emptied database."""
    store = Store(connect(settings))
    yield store
    store.close()


@pytest.fixture
def stock_celery(redis_client: redis.Redis, redis_url: str) -> Iterator[Celery]:
    """A Celery client that is configured with the result backend only."""
    app = Celery("stock", backend=redis_url, set_as_current=False)
    yield app
    app.backend.result_consumer.stop()  # Celery leaves these connections open
    app.backend.client.connection_pool.disconnect()
    app.close()
