"""The app uses the settings that it was created with, not those of the process."""

import re

import pytest

from api import create_app
from api.services import services_of
from jobs.kinds import JOB_REQUEST
from jobs.kinds.chat import ChatTask
from jobs.settings import Settings

CHAT = "/api/v1/chat/async"


@pytest.fixture
def short_client(api_app, redis_url):
    """An app whose own limit of a message is 5 characters, while the process has the default."""
    app = create_app(Settings(REDIS_URL=redis_url, max_message_chars=5))
    yield app.test_client()
    services_of(app).close()


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        (CHAT, {"message": "x" * 16}, "#/message"),
        (CHAT, {"message": "hello", "history": [{"role": "user", "content": "x" * 16}]}, "#/history/0/content"),
        ("/api/v1/tasks", {"kind": "chat", "message": "x" * 16}, "#/message"),
        ("/api/v1/tasks", {"kind": "embeddings", "input": ["hello", "x" * 16]}, "#/input/1"),
    ],
)
def test_a_text_above_the_apps_limit_is_rejected(short_client, read_problem, path, body, pointer):
    """The limit holds for every text of a body, also within unions."""
    problem = read_problem(short_client.post(path, json=body), 422, "invalid_request")

    assert problem["errors"] == [{"pointer": pointer, "detail": "must have at most 5 characters"}]


def test_an_embeddings_text_of_the_openai_api_has_the_same_limit(short_client, read_problem):
    """/v1 answers 400, as OpenAI does."""
    read_problem(short_client.post("/v1/embeddings", json={"input": "x" * 16}), 400, "invalid_request")


def test_a_text_of_exactly_the_limit_is_accepted(short_client):
    """The limit itself is allowed."""
    assert short_client.post(CHAT, json={"message": "x" * 5}).status_code == 202


def test_each_app_publishes_its_own_limit(short_client, api_client):
    """The maxLength of the JSON Schema is the limit that the app enforces, and no marker of ours is left in it."""

    def schema(client, name):
        return client.get("/openapi.json").json["components"]["schemas"][name]["properties"]

    assert schema(short_client, "SyncChat")["message"]["maxLength"] == 5
    assert schema(api_client, "SyncChat")["message"]["maxLength"] == Settings().max_message_chars
    for client in (short_client, api_client):
        document = client.get("/openapi.json").text
        assert [marker for marker in re.findall(r'"x-[\w-]+"', document) if marker != '"x-chatqueue-provider"'] == []


def test_a_stored_job_can_be_read_under_a_lower_limit(api_client, short_client, fake_worker):
    """Lowering the limit must not make accepted jobs unreadable, for a worker, a view or a retry."""
    job_id = api_client.post(CHAT, json={"message": "x" * 16}).json["job_id"]
    fake_worker.fail(job_id)

    assert short_client.get(f"/v1/responses/{job_id}/input_items").json["data"][0]["content"][0]["text"] == "x" * 16
    assert short_client.post(f"/api/v1/tasks/{job_id}/retry").status_code == 202
    request = JOB_REQUEST.validate_python({"kind": "chat", "message": "x" * 1_000_000})
    assert isinstance(request, ChatTask)
    assert request.message
