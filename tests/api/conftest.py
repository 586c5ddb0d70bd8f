"""The app over the suite's own Redis, and a fake worker that runs storage transitions. No real worker runs."""

import itertools
import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api import create_app
from api.services import Services, services_of
from jobs import queries
from jobs.kinds.chat import ChatAnswer
from jobs.kinds.embeddings import EmbeddingsAnswer
from jobs.models import Claim, Lease
from jobs.results import JobError, Usage
from jobs.settings import Settings, get_settings
from jobs.states import State
from jobs.storage import keys, transitions
from jobs.storage.keys import DEFAULT_QUEUE
from jobs.storage.message_template import MessageTemplate
from jobs.storage.sync_store import Store
from jobs.storage.worker_reports import report_worker
from tests.support.workers import worker_status

MESSAGE_TEMPLATE = MessageTemplate(DEFAULT_QUEUE)
ANSWER = ChatAnswer(
    text="an answer",
    model="model-x",
    finish_reason="stop",
    usage=Usage(input_tokens=3, output_tokens=2, total_tokens=5),
)
USAGE_SO_FAR = Usage.estimate(input_chars=12, deltas=1)
ERROR = JobError(code="provider_timeout", message="the provider was silent for too long")


@dataclass
class FakeWorker:
    """Moves jobs through their states as a worker would."""

    store: Store
    settings: Settings
    numbers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def message_template(self) -> MessageTemplate:
        return MESSAGE_TEMPLATE

    def next_queued(self) -> str | None:
        return self.store.run(queries.oldest_queued())

    def claim(self, job_id: str) -> Lease:
        command = transitions.claim(job_id, f"claim-{next(self.numbers)}", "worker-1", MESSAGE_TEMPLATE, self.settings)
        claim = self.store.run(command)
        assert isinstance(claim, Claim)
        return claim.lease

    def complete(self, job_id: str, answer: ChatAnswer | EmbeddingsAnswer = ANSWER) -> None:
        assert self.store.run(transitions.finish(self.claim(job_id), answer, State.COMPLETED, self.settings))

    def finish_incomplete(self, job_id: str) -> None:
        answer = ANSWER.model_copy(update={"finish_reason": "length"})
        assert self.store.run(transitions.finish(self.claim(job_id), answer, State.INCOMPLETE, self.settings))

    def fail(self, job_id: str) -> None:
        assert self.store.run(transitions.fail(self.claim(job_id), ERROR, None, self.settings))

    def cancel(self, job_id: str) -> None:
        self.store.run(transitions.cancel(job_id, DEFAULT_QUEUE, self.settings))

    def release_for_retry(self, job_id: str, seconds: float) -> None:
        assert self.store.run(transitions.release(self.claim(job_id), ERROR, seconds, MESSAGE_TEMPLATE)) is not None

    def write(self, lease: Lease, log_length: int, text: str) -> int | transitions.Behind | None:
        return self.store.run(
            transitions.append(
                lease, transitions.PendingEvents(log_length, (transitions.delta_event(text),)), USAGE_SO_FAR
            )
        )

    def heartbeat(self, **status: Any) -> None:
        """A heartbeat of a worker that takes jobs, unless ``status`` says otherwise."""
        self.store.run(report_worker(worker_status(**status), MESSAGE_TEMPLATE, self.settings))


@pytest.fixture(scope="session")
def api_redis_port(redis_url: str) -> int:
    """The port of the suite's own Redis server."""
    return int(urlsplit(redis_url).port or 0)


@pytest.fixture
def make_api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Flask]]:
    """Builds apps for a Redis port and settings, and closes them after the test."""
    apps: list[Flask] = []

    def make(redis_port: int, **settings: Any) -> Flask:
        monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{redis_port}/0")
        monkeypatch.setenv("CELERY_BROKER_URL", "")
        monkeypatch.setenv("CHATQUEUE_SYNC_WAIT_SECONDS", "0.05")
        monkeypatch.setenv("CHATQUEUE_RESPONSE_HOLD_SECONDS", "15")  # early failures must be early on a busy machine
        for name, value in settings.items():
            monkeypatch.setenv(f"CHATQUEUE_{name.upper()}", str(value))
        get_settings.cache_clear()
        apps.append(create_app())
        return apps[-1]

    yield make
    for app in apps:
        services_of(app).close()
    get_settings.cache_clear()


@pytest.fixture
def api_app(make_api: Callable[..., Flask], api_redis_port: int) -> Flask:
    """The app over an empty Redis."""
    with redis.Redis(port=api_redis_port) as client:
        client.flushall()
        client.hset(keys.target("main/gpt-5-mini"), "starts", 10_000)  # not approached in steps any more
    return make_api(api_redis_port)


@pytest.fixture
def api_client(api_app: Flask) -> FlaskClient:
    return api_app.test_client()


@pytest.fixture
def api_services(api_app: Flask) -> Services:
    return services_of(api_app)


@pytest.fixture
def fake_worker(api_services: Services) -> FakeWorker:
    return FakeWorker(api_services.store, api_services.settings)


@pytest.fixture
def submit_chat(api_client: FlaskClient) -> Callable[..., str]:
    def submit(message: str = "hello", **more: Any) -> str:
        response = api_client.post("/api/v1/chat/async", json={"message": message, **more})
        assert response.status_code == 202, response.text
        return str(response.json["job_id"])

    return submit


@pytest.fixture
def create_response(api_client: FlaskClient) -> Callable[..., TestResponse]:
    """POST /v1/responses, in the background by default."""

    def create(headers: dict[str, str] | None = None, *, buffered: bool = True, **body: Any) -> TestResponse:
        request_body = {"input": "hi", "background": True} | body
        return api_client.post("/v1/responses", json=request_body, headers=headers or {}, buffered=buffered)

    return create


@pytest.fixture
def redis_client_of_api(api_services: Services) -> redis.Redis:
    return api_services.store._client


@pytest.fixture
def silent_port() -> Iterator[int]:
    """The port of a server that accepts connections and never sends anything."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def _read_problem(response: TestResponse, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.content_type == "application/problem+json"
    assert response.headers["X-Request-Id"].startswith("req_")
    problem: dict[str, Any] = json.loads(response.data)
    assert problem["type"] == f"/problems/{code}"
    assert problem["status"] == status
    assert problem["title"]
    assert problem["instance"].startswith("/")
    assert set(problem["error"]) == {"message", "type", "param", "code"}
    assert problem["error"]["code"] == code
    assert problem["error"]["message"] == problem["detail"]
    return problem


@pytest.fixture
def read_problem() -> Callable[[TestResponse, int, str], dict[str, Any]]:
    """Checks that a response is a complete problem+json with `error`, and returns its body."""
    return _read_problem
