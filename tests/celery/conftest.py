"""pytest-celery's fixtures with our worker, our offline model and one Redis as broker and backend.

They run as local processes. They run over Docker when CHATQUEUE_TEST_IMAGE names an image of this project: its working
directory is the project's root, and its `python` can run the project. A Docker daemon alone is not enough, because
pytest-celery's own worker image does not contain `tasks`.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import docker
import pytest
import pytest_docker_tools.wrappers.container
from pytest_celery import (
    CeleryBackendCluster,
    CeleryBrokerCluster,
    CeleryTestWorker,
    CeleryWorkerCluster,
    CeleryWorkerContainer,
    RedisContainer,
    RedisTestBackend,
    RedisTestBroker,
)
from pytest_docker_tools import container, fxtr, network

from local.redis_server import find_binary
from tests.local_engine import LocalEngine, LocalImage

PROJECT_ROOT = Path(__file__).resolve().parents[2]
IMAGE = os.environ.get("CHATQUEUE_TEST_IMAGE", "")
LOCAL_IMAGE = "chatqueue:local"
API_KEY = "sk-canary-of-the-lifecycle-tests"


def local_images() -> list[LocalImage]:
    """Local stand-ins for the two images. Raises local.errors.CannotStart if there is no valkey-server."""
    redis = LocalImage(
        id=RedisContainer.image(),
        programs={"redis-server": str(find_binary())},
        listen=("--bind", "127.0.0.1", "--port", "{port}"),
    )
    project_image = LocalImage(
        id=LOCAL_IMAGE,
        programs={"python": sys.executable},
        working_dir=PROJECT_ROOT,
        listen=("--host", "127.0.0.1", "--port", "{port}"),
    )
    return [redis, project_image]


def pytest_report_header() -> str:
    if IMAGE:
        return f"pytest-celery: over Docker, the worker from {IMAGE}"
    return "pytest-celery: over local processes (CHATQUEUE_TEST_IMAGE, an image of this project, for Docker)"


def docker_daemon() -> docker.DockerClient:
    try:
        return docker.from_env()  # contacts the daemon
    except docker.errors.DockerException as error:
        pytest.exit(f"CHATQUEUE_TEST_IMAGE is set, but no Docker daemon answers: {error}", returncode=2)


@pytest.fixture(scope="session")
def docker_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    if IMAGE:
        with closing(docker_daemon()) as daemon:
            yield daemon
        return
    engine = LocalEngine(tmp_path_factory.mktemp("local_engine"), local_images())
    with pytest.MonkeyPatch.context() as patch:
        # If the tests run in a container, pytest-docker-tools would use the address inside the other container.
        patch.setattr(pytest_docker_tools.wrappers.container, "tests_inside_container", lambda: False)
        yield engine
    engine.close()


@pytest.fixture(scope="session")
def celery_base_worker_image(docker_client: Any) -> Any:
    return docker_client.images.get(IMAGE or LOCAL_IMAGE)


default_pytest_celery_network = network(scope="session")  # for the whole session: all tests share the offline model

offline_model_container = container(
    scope="session",
    image="{celery_base_worker_image.id}",
    command=["python", "-m", "local.offline_model", "--host", "0.0.0.0", "--port", "80"],
    ports={"80/tcp": None},
    network="{default_pytest_celery_network.name}",
)


@pytest.fixture(scope="session")
def offline_model_url(offline_model_container: Any) -> str:
    """The URL that a worker uses."""
    return f"http://{offline_model_container.attrs['Config']['Hostname']}/v1"


@pytest.fixture
def default_redis_broker_command(default_redis_broker_cls: type[RedisContainer]) -> list[str]:
    return default_redis_broker_cls.command("--appendonly", "yes")


@pytest.fixture
def celery_broker_cluster(celery_redis_broker: RedisTestBroker) -> CeleryBrokerCluster:
    """One broker: pytest-celery would run each test with every broker that it supports."""
    return CeleryBrokerCluster(celery_redis_broker)


@pytest.fixture
def celery_backend_cluster(celery_redis_broker: RedisTestBroker) -> Iterator[CeleryBackendCluster]:
    """The same server as the broker, as in our default deployment."""
    backend = RedisTestBackend(celery_redis_broker.container)
    yield CeleryBackendCluster(backend)
    backend.teardown()


@pytest.fixture
def celery_worker_cluster(
    worker_arguments: tuple[
        str, ...
    ],  # named here because pytest does not detect the fixtures that a `fxtr` below uses
    celery_setup_worker: CeleryTestWorker,
) -> CeleryWorkerCluster:
    return CeleryWorkerCluster(celery_setup_worker)


@pytest.fixture
def worker_arguments() -> tuple[str, ...]:
    """Further arguments of `celery -A tasks worker`; a test may parametrize them."""
    return ()


@pytest.fixture
def default_worker_command(worker_arguments: tuple[str, ...]) -> list[str]:
    return ["python", "-m", "celery", "-A", "tasks", "worker", "--loglevel=INFO", *worker_arguments]


@pytest.fixture
def default_worker_env(celery_broker_cluster: CeleryBrokerCluster, offline_model_url: str) -> dict[str, str]:
    return {
        "REDIS_URL": celery_broker_cluster.config()["urls"][0],
        "OPENAI_BASE_URL": offline_model_url,
        "OPENAI_API_KEY": API_KEY,
    }


default_worker_container = container(
    image="{celery_base_worker_image.id}",
    command=fxtr("default_worker_command"),
    environment=fxtr("default_worker_env"),
    network="{default_pytest_celery_network.name}",
    wrapper_class=CeleryWorkerContainer,
    timeout=60,
)
