"""A deployment for each module, described by its constant ``DEPLOYMENT``, and related fixtures."""

from collections.abc import Iterator

import pytest

from tests.streams.deployment import Deployment, WebServer, deployed
from tests.support.offline_model import key


@pytest.fixture(scope="module")
def deployment(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, model_url: str, processes: None
) -> Iterator[Deployment]:
    with deployed(tmp_path_factory.mktemp("deployment"), model_url, **request.module.DEPLOYMENT) as deployment:
        yield deployment


@pytest.fixture
def web(deployment: Deployment) -> WebServer:
    return deployment.webs[0]


@pytest.fixture
def name() -> str:
    """The name by which the offline model counts the calls of this test."""
    return key()
