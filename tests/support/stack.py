"""A deployed stack for unmodified clients: gunicorn, workers and a provider."""

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
import redis

from tests.support.processes import Process, free_port, running

GUNICORN = [str(Path(sys.executable).with_name("gunicorn")), "-c", "api/gunicorn_conf.py", "api:create_app()"]
_WORKER = [sys.executable, "-m", "celery", "-A", "tasks", "worker"]
_FAST_SETTINGS = {
    "CHATQUEUE_BACKOFF_BASE_SECONDS": "0.1",
    "CHATQUEUE_LEASE_SECONDS": "3",
    "CHATQUEUE_HEARTBEAT_SECONDS": "1",
    "CHATQUEUE_REDIS_TIMEOUT_SECONDS": "1",
    "CHATQUEUE_APPEND_INTERVAL_SECONDS": "0.01",
    "CHATQUEUE_CLIENT_WAIT_SECONDS": "20",
    "CHATQUEUE_WEB_GRACE_SECONDS": "0",
    "CHATQUEUE_RESPONSE_HOLD_SECONDS": "15",  # early failures must be early on a busy machine
}


@dataclass(frozen=True)
class Stack:
    """The addresses of a running stack. ``env`` is the environment of its processes."""

    url: str
    model_url: str
    env: dict[str, str]
    web: Process

    def worker(self) -> AbstractContextManager[Process]:
        """Run one more worker."""
        return running(_WORKER, ready=" ready.", env=self.env)

    def client(self, **options: Any) -> openai.OpenAI:
        """An `openai` client of this stack, without retries."""
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key="sk-any", **{"max_retries": 0, "timeout": 30} | options)


@contextmanager
def serving(redis_url: str, provider_url: str, **settings: str) -> Iterator[Stack]:
    """Run a web process on an emptied database, without a worker."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    port = free_port()
    env = {
        "REDIS_URL": redis_url,
        "OPENAI_BASE_URL": provider_url,
        "OPENAI_API_KEY": "sk-canary-key",
        "CHATQUEUE_WEB_PORT": str(port),
        "CHATQUEUE_WEB_WORKERS": "1",
        **_FAST_SETTINGS,
        **settings,
    }
    with running(GUNICORN, ready="Booting worker", env=env) as web:
        yield Stack(f"http://127.0.0.1:{port}", provider_url, env, web)
