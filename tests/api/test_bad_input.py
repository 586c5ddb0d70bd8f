"""Bad input: each kind gets its status, a complete problem+json, a stable code and the invalid field."""

import io
import json

import pytest

UNKNOWN = "job_" + "0" * 32
ASYNC = "/api/v1/chat/async"
SUBMITS = [ASYNC, "/api/v1/chat/sync", "/api/v1/tasks"]


def _post(client, body, path=ASYNC, **options):
    return client.post(path, json=body, **options)


@pytest.mark.parametrize(
    ("body", "pointer", "param", "detail"),
    [
        ({"message": "a", "mood": 1}, "#/mood", "mood", "unknown field"),
        ({"message": 5}, "#/message", "message", "input should be a valid string"),
        ({"message": "a", "temperature": False}, "#/temperature", "temperature", "input should be a valid number"),
        ({"message": "a", "temperature": "1"}, "#/temperature", "temperature", "input should be a valid number"),
        ({"message": ""}, "#/message", "message", "string should have at least 1 character"),
        ({"message": " \n"}, "#/message", "message", "must not be blank"),
        ({"message": "a" * 51}, "#/message", "message", "must have at most 50 characters"),
        ({}, "#/message", "message", "is required"),
        ([1], "#", None, "input should be an object"),
        (
            {"message": "a", "history": [{"role": "user", "content": "b"}, {"role": "user", "content": 1}]},
            "#/history/1/content",
            "history[1].content",
            "input should be a valid string",
        ),
        (
            {"message": "a", "history": [{"role": "tool", "content": "b"}]},
            "#/history/0/role",
            "history[0].role",
            "input should be 'user' or 'assistant'",
        ),
        (
            {"message": "a", "metadata": {"a/b~c d": 1}},
            "#/metadata/a~1b~0c%20d",
            "metadata.a/b~c d",
            "input should be a valid string",
        ),
    ],
)
def test_an_invalid_field_is_named_with_its_reason(
    make_api, api_redis_port, read_problem, body, pointer, param, detail
):
    """The problem has a JSON Pointer and a message that never repeats the input."""
    client = make_api(api_redis_port, max_message_chars=50).test_client()

    problem = read_problem(_post(client, body), 422, "invalid_request")

    assert problem["errors"] == [{"pointer": pointer, "detail": detail}]
    assert problem["error"]["param"] == param
    assert problem["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("body", "pointer", "detail"),
    [
        ({"message": "a"}, "#/kind", "is required"),
        ({"kind": "poem", "message": "a"}, "#/kind", "must be one of 'chat', 'embeddings'"),
        ({"kind": "chat"}, "#/message", "is required"),
        ({"kind": "chat", "message": "a", "chat": {"message": 1}}, "#/chat", "unknown field"),
        ({"kind": "chat", "message": 1, "chat": {"message": 1}}, "#/message", "input should be a valid string"),
        ({"kind": "embeddings", "input": ["a", " "]}, "#/input/1", "must not be blank"),
        ({"kind": "embeddings", "input": []}, "#/input", "must not be empty"),
    ],
)
def test_the_pointer_names_no_branch_of_a_union(api_client, read_problem, body, pointer, detail):
    """The kinds of a task are not part of its body, so they must not be part of the pointer."""
    problem = read_problem(_post(api_client, body, "/api/v1/tasks"), 422, "invalid_request")

    assert {"pointer": pointer, "detail": detail} in problem["errors"]


def test_many_invalid_fields_are_listed_up_to_a_limit(api_client, read_problem):
    """A body with a thousand errors must not cause a response of a thousand lines."""
    body = {"message": "a"} | {f"x{number}": 1 for number in range(500)}

    assert len(read_problem(_post(api_client, body), 422, "invalid_request")["errors"]) == 20


@pytest.mark.parametrize("path", SUBMITS)
@pytest.mark.parametrize(
    ("body", "position"),
    [
        (b'{"message": "secret"', "line 1 column 20"),
        (b'{\n"message": secret}', "line 2 column 12"),
        (b"", "line 1 column 0"),
        (b'{"message": "\xff"}', "line 1 column"),
        (b'{"message": "\\ud800"}', "line 1 column"),
        (b"[" * 10_000, "line 1 column"),
    ],
)
def test_invalid_json_is_400_with_the_position_and_no_echo(api_client, read_problem, path, body, position):
    """The error names the position and does not repeat the body."""
    response = api_client.post(path, data=body, content_type="application/json")

    problem = read_problem(response, 400, "malformed_json")
    assert position in problem["detail"]
    assert "secret" not in response.text


@pytest.mark.parametrize("path", SUBMITS)
@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", None])
def test_another_content_type_is_415(api_client, read_problem, path, content_type):
    """Only JSON bodies are parsed."""
    response = api_client.post(path, data=b'{"message": "a"}', content_type=content_type)

    read_problem(response, 415, "unsupported_media_type")


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "application/vnd.ours+json"])
def test_json_content_types_are_accepted(api_client, content_type):
    """A charset and the suffix +json are accepted."""
    assert api_client.post(ASYNC, data=b'{"message": "a"}', content_type=content_type).status_code == 202


@pytest.mark.parametrize("path", SUBMITS)
def test_a_body_over_the_limit_is_413(make_api, api_redis_port, read_problem, path):
    """The limit is that of the settings."""
    client = make_api(api_redis_port, max_body_bytes=100).test_client()

    problem = read_problem(_post(client, {"message": "a" * 100}, path), 413, "body_too_large")
    assert "100 bytes" in problem["detail"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", ASYNC, {"POST", "OPTIONS"}),
        ("PUT", "/api/v1/tasks", {"GET", "HEAD", "POST", "OPTIONS"}),
        ("PATCH", f"/api/v1/tasks/{UNKNOWN}", {"GET", "HEAD", "DELETE", "OPTIONS"}),
        ("POST", "/health", {"GET", "HEAD", "OPTIONS"}),
    ],
)
def test_a_wrong_method_is_405_with_the_allowed_ones(api_client, read_problem, method, path, allowed):
    """The Allow header lists the allowed methods."""
    response = api_client.open(path, method=method)

    read_problem(response, 405, "method_not_allowed")
    assert set(response.headers["Allow"].split(", ")) == allowed


def test_an_unknown_path_is_404(api_client, read_problem):
    """It is a problem+json like every other error."""
    read_problem(api_client.get("/api/v2/everything"), 404, "not_found")


def test_a_full_queue_is_429_with_retry_after(make_api, api_app, api_redis_port, read_problem):
    """The client learns when to retry."""
    client = make_api(api_redis_port, max_queued=2).test_client()
    for _ in range(2):
        assert _post(client, {"message": "a"}).status_code == 202

    response = _post(client, {"message": "a"})

    problem = read_problem(response, 429, "queue_full")
    assert problem["error"]["type"] == "rate_limit_error"
    assert int(response.headers["Retry-After"]) >= 1


def test_a_queue_that_is_full_of_bytes_is_429_and_says_so(make_api, api_app, api_redis_port, read_problem):
    """The stats show how full it is."""
    client = make_api(api_redis_port, max_queued_bytes=1_500).test_client()
    assert _post(client, {"message": "a" * 1_000}).status_code == 202

    response = _post(client, {"message": "b" * 1_000})

    problem = read_problem(response, 429, "queue_full")
    assert "bytes, and at most 1500 are allowed" in problem["detail"]
    assert "bbb" not in response.text
    assert int(response.headers["Retry-After"]) >= 1
    stats = client.get("/api/v1/queue/stats").json
    assert 1_000 < stats["queued_bytes"] < 1_500 == stats["max_queued_bytes"]


def test_error_bodies_have_no_meaningless_nulls(api_client):
    """Absent fields are left out, except `param`, which the openai client expects."""
    body = json.loads(_post(api_client, {}).data)

    assert None not in body.values()
    assert None not in body["errors"][0].values()


def _post_chunked(client, body):
    return client.post(
        "/api/v1/chat/async",
        input_stream=io.BytesIO(body),
        content_type="application/json",
        headers={"Transfer-Encoding": "chunked"},
        environ_overrides={"wsgi.input_terminated": True},
    )


def test_a_chunked_body_over_the_limit_is_413_even_if_its_beginning_is_valid(
    make_api, api_app, api_redis_port, read_problem
):
    """A body that was cut at the limit is never accepted."""
    client = make_api(api_redis_port, max_body_bytes=1_000).test_client()
    sound = b'{"message": "cut?"}'

    assert _post_chunked(client, sound).status_code == 202
    read_problem(_post_chunked(client, sound.ljust(1_000) + b"and more"), 413, "body_too_large")


def test_malformed_chunks_are_400(api_client, read_problem):
    """The error is the client's, not a server error."""

    class Broken(io.BytesIO):
        def read(self, *_):
            raise OSError("Invalid chunk size")

        readinto = read

    response = api_client.post(
        "/api/v1/chat/async",
        input_stream=Broken(b"ZZ"),
        content_type="application/json",
        environ_overrides={"wsgi.input_terminated": True},
    )
    read_problem(response, 400, "malformed_json")
