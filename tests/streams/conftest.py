"""What every module here may use; each brings its own ``deployment``."""

import pytest

from tests.offline import key
from tests.streams.deployment import Deployment, WebServer


@pytest.fixture
def web(deployment: Deployment) -> WebServer:
    return deployment.webs[0]


@pytest.fixture
def name() -> str:
    """Under which the offline model counts this test's calls."""
    return key()
