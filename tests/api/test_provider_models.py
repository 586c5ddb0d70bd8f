"""Models of a providers file in both APIs: what is listed, accepted and refused when a request is submitted."""

import pytest
import redis

from api.services import services_of
from jobs import queries
from jobs.kinds import KINDS

FILE = """
[providers.chats]
speaks = "chat"
[providers.any]
[models.small]
targets = [{provider = "chats", model = "s"}]
[models.both]
targets = [{provider = "chats", model = "b"}, {provider = "any", model = "b"}]
[models.vectors]
targets = [{provider = "any", model = "v"}]
[aliases]
fast = "small"
"""
WEB_SEARCH = {"tools": [{"type": "web_search"}]}
FUNCTION = {"tools": [{"type": "function", "name": "f", "parameters": {}}]}


@pytest.fixture
def app(make_api, api_redis_port, tmp_path):
    path = tmp_path / "providers.toml"
    path.write_text(FILE)
    with redis.Redis(port=api_redis_port) as client:
        client.flushall()
    return make_api(api_redis_port, providers_file=path, chat_model="fast", embedding_model="vectors")


@pytest.fixture
def client(app):
    return app.test_client()


def record_of(app, job_id):
    return services_of(app).store.run(queries.record(job_id))


def request_of(app, job_id):
    return services_of(app).store.run(queries.request(job_id))


def test_the_models_and_aliases_of_the_file_are_listed(client):
    """No worker and no provider is needed for the list."""
    listed = client.get("/v1/models").json

    assert [model["id"] for model in listed["data"]] == ["small", "both", "vectors", "fast"]
    assert client.get("/v1/models/fast").json["object"] == "model"
    assert client.get("/v1/models/s").status_code == 404


CALLS = [
    ("/api/v1/chat/async", {"message": "hi"}),
    ("/api/v1/chat/sync", {"message": "hi"}),
    ("/api/v1/tasks", {"kind": "chat", "message": "hi"}),
    ("/api/v1/tasks", {"kind": "embeddings", "input": ["hi"]}),
    ("/v1/chat/completions", {"messages": [{"role": "user", "content": "hi"}]}),
    ("/v1/responses", {"input": "hi", "background": True}),
    ("/v1/embeddings", {"input": "hi"}),
]


@pytest.mark.parametrize(("path", "body"), CALLS)
def test_a_model_that_the_file_does_not_list_is_a_404(app, client, read_problem, path, body):
    """The error is that of OpenAI, and no job is created."""
    problem = read_problem(client.post(path, json=body | {"model": "gpt-canary"}), 404, "model_not_found")

    assert problem["error"]["param"] == "model"
    assert "canary" not in str(problem)
    assert services_of(app).store.run(queries.oldest_queued()) is None


def test_a_job_keeps_the_name_that_its_caller_has_used(app, client):
    """An alias is resolved for the pool only."""
    job_id = client.post("/api/v1/chat/async", json={"message": "hi", "model": "fast"}).json["job_id"]

    record = record_of(app, job_id)
    assert (record.model, record.pool) == ("fast", "small")
    assert record_of(app, client.post("/api/v1/chat/async", json={"message": "hi"}).json["job_id"]).pool == "small"


def test_a_response_that_no_target_can_serve_is_refused(app, client, read_problem):
    """The caller is told at once, not by a failed job."""
    body = {"input": "hi", "background": True, "model": "small"}

    read_problem(client.post("/v1/responses", json=body | WEB_SEARCH), 400, "unsupported_feature")
    assert services_of(app).store.run(queries.oldest_queued()) is None
    assert client.post("/v1/responses", json=body | FUNCTION).status_code == 200


@pytest.mark.parametrize(
    ("model", "more", "is_needed"),
    [("both", WEB_SEARCH, True), ("both", FUNCTION, False), ("vectors", WEB_SEARCH, False)],
)
def test_a_response_is_marked_if_only_some_targets_can_serve_it(app, client, model, more, is_needed):
    """The mark is found out only where a target is limited to chat completions."""
    response_id = client.post("/v1/responses", json={"input": "hi", "background": True, "model": model} | more).json[
        "id"
    ]

    assert request_of(app, response_id).needs_responses_api is is_needed


def test_the_earlier_items_of_a_conversation_count(app, client, read_problem):
    """A chat completion cannot express an earlier call of a hosted tool either."""
    item = {"type": "web_search_call", "id": "ws_1", "status": "completed"}

    body = {"input": [item, {"role": "user", "content": "hi"}], "background": True, "model": "small"}
    read_problem(client.post("/v1/responses", json=body), 400, "unsupported_feature")


def test_the_mark_is_no_part_of_a_repeated_request(app, client):
    """The same Idempotency-Key finds its job, and an older worker may ignore the mark."""
    call = {
        "json": {"input": "hi", "background": True, "model": "both"} | WEB_SEARCH,
        "headers": {"Idempotency-Key": "k"},
    }
    first = client.post("/v1/responses", **call).json["id"]

    assert client.post("/v1/responses", **call).json["id"] == first
    assert "responses_only" in KINDS["response"].request.ignorable_fields


def test_documents_need_the_embedding_model(make_api, api_redis_port, tmp_path, read_problem):
    """Otherwise an upload would be accepted, and its ingest would fail."""
    path = tmp_path / "providers.toml"
    path.write_text(FILE)
    client = make_api(api_redis_port, providers_file=path, chat_model="fast").test_client()

    read_problem(client.post("/api/v1/documents?filename=a.txt", data=b"text"), 404, "model_not_found")
    chat = {"message": "hi", "documents": "all"}
    read_problem(client.post("/api/v1/chat/async", json=chat), 404, "model_not_found")


def test_a_task_whose_model_is_no_longer_offered_is_not_retried(app, client, make_api, api_redis_port, tmp_path):
    """Retrying many tasks leaves it out; retrying it alone is a 404."""
    job_id = client.post("/api/v1/chat/async", json={"message": "hi", "model": "both"}).json["job_id"]
    assert client.post(f"/api/v1/tasks/{job_id}/cancel").status_code == 200
    smaller = tmp_path / "smaller.toml"
    smaller.write_text(FILE.replace("[models.both]", "[models.other]"))
    other = make_api(api_redis_port, providers_file=smaller).test_client()

    assert other.post(f"/api/v1/tasks/{job_id}/retry").status_code == 404
    report = other.post("/api/v1/tasks/retry", json={"status": "cancelled"}).json
    assert (report["matched"], report["retried"]) == (1, [])
