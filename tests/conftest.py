"""What every test may use: one Redis server that the suite started itself, and settings that point at it."""

import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager

import pytest
import redis
from celery import Celery

from jobs.settings import Settings
from jobs.storage.redis_client import connect
from jobs.storage.store import Store
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
    """A server of our own for the whole session, started as `make up` starts it."""
    port = free_port()
    env = {
        "CHATQUEUE_EMBEDDED_REDIS_PORT": str(port),
        "CHATQUEUE_DATA_DIR": str(tmp_path_factory.mktemp("redis")),
        "REDIS_URL": "",
    }
    with running([sys.executable, "-m", "local.redis_server"], ready="Ready to accept connections", env=env):
        yield f"redis://127.0.0.1:{port}/0"


@pytest.fixture
def redis_client(redis_url: str) -> Iterator[redis.Redis]:
    """An empty database: it is flushed, which only a server of our own may be."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
        yield client


@pytest.fixture(scope="session")
def model_url() -> Iterator[str]:
    """The offline model, over its real wire."""
    with _offline_model() as url:
        yield url


@pytest.fixture(scope="session")
def responses_model_url() -> Iterator[str]:
    """The offline model as a provider that speaks Responses."""
    with _offline_model("--responses") as url:
        yield url


@contextmanager
def _offline_model(*options: str) -> Iterator[str]:
    args = [sys.executable, "-m", "local.offline_model", "--port", "0", *options]
    with running(args, ready="offline model listening on ") as process:
        yield process.wait_for("listening on").split()[-1]


@pytest.fixture(scope="module", params=["chat", "responses"])
def upstream_url(request: pytest.FixtureRequest) -> str:
    """A provider that speaks chat completions alone, and one that speaks Responses: the client sees no difference."""
    name = "model_url" if request.param == "chat" else "responses_model_url"
    return request.getfixturevalue(name)


@pytest.fixture
def settings(redis_url: str) -> Settings:
    return Settings(REDIS_URL=redis_url)


@pytest.fixture
def store(redis_client: redis.Redis, settings: Settings) -> Iterator[Store]:
    store = Store(connect(settings))
    yield store
    store.close()


@pytest.fixture
def stock(redis_client: redis.Redis, redis_url: str) -> Iterator[Celery]:
    """A Celery client that knows nothing of us."""
    app = Celery("stock", backend=redis_url, set_as_current=False)
    yield app
    app.backend.result_consumer.stop()  # Celery leaves these connections to the garbage collector
    app.backend.client.connection_pool.disconnect()
    app.close()
