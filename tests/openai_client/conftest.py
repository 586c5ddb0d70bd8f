"""The web as it is deployed, a real worker and the offline model, spoken to by the `openai` client as it is."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import openai
import pytest
import redis

from tests.processes import Process, free_port, running

GUNICORN = [str(Path(sys.executable).with_name("gunicorn")), "-c", "api/gunicorn_conf.py", "api:create_app()"]
WORKER = [sys.executable, "-m", "celery", "-A", "tasks", "worker"]
SHORT = {
    "CHATQUEUE_BACKOFF_BASE_SECONDS": "0.1",
    "CHATQUEUE_LEASE_SECONDS": "3",
    "CHATQUEUE_HEARTBEAT_SECONDS": "1",
    "CHATQUEUE_REDIS_TIMEOUT_SECONDS": "1",
    "CHATQUEUE_APPEND_INTERVAL_SECONDS": "0.01",
    "CHATQUEUE_CLIENT_WAIT_SECONDS": "20",
}


@dataclass(frozen=True)
class Stack:
    """Where everything is; ``env`` starts one more of anything."""

    url: str
    model_url: str
    env: dict[str, str]
    web: Process

    def worker(self):
        return running(WORKER, ready=" ready.", env=self.env)

    def client(self, **options) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key="sk-any", **{"max_retries": 0, "timeout": 30} | options)


@pytest.fixture(scope="session")
def responses_model_url() -> Iterator[str]:
    """The offline model as a provider that speaks Responses."""
    args = [sys.executable, "-m", "local.offline_model", "--port", "0", "--responses"]
    with running(args, ready="offline model listening on ") as process:
        yield process.wait_for("listening on").split()[-1]


@pytest.fixture(scope="module", params=["chat", "responses"])
def upstream_url(request: pytest.FixtureRequest) -> str:
    """A provider that speaks chat completions alone, and one that speaks Responses: the client sees no difference."""
    name = "model_url" if request.param == "chat" else "responses_model_url"
    return request.getfixturevalue(name)


@pytest.fixture(scope="module")
def stack(redis_url: str, upstream_url: str) -> Iterator[Stack]:
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    port = free_port()
    env = {
        "CHATQUEUE_LEASE_SECONDS": "5",  # a dead worker is noticed sooner
        "CHATQUEUE_HEARTBEAT_SECONDS": "1",
        "REDIS_URL": redis_url,
        "OPENAI_BASE_URL": upstream_url,
        "OPENAI_API_KEY": "sk-canary-key",
        "CHATQUEUE_WEB_PORT": str(port),
        "CHATQUEUE_WEB_WORKERS": "1",
        **SHORT,
    }
    with running(GUNICORN, ready="Booting worker", env=env) as web:
        yield Stack(f"http://127.0.0.1:{port}", upstream_url, env, web)


@pytest.fixture(scope="module")
def worker(stack: Stack) -> Iterator[Process]:
    with stack.worker() as process:
        yield process


@pytest.fixture
def client(stack: Stack, worker: Process) -> Iterator[openai.OpenAI]:
    with stack.client() as client:
        yield client
