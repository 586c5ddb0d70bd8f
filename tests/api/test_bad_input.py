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
        ({"kind": "embeddings", "input": []}, "#/input", "must have at least 1 entries"),
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
        (b"[" * 100_000, "line 1 column"),
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


JOB_PATHS = [
    ("GET", "/api/v1/chat/jobs/{}"),
    ("GET", "/api/v1/chat/jobs/{}?wait=5"),
    ("GET", "/api/v1/tasks/{}"),
    ("GET", "/api/v1/tasks/{}/result"),
    ("POST", "/api/v1/tasks/{}/cancel"),
    ("POST", "/api/v1/tasks/{}/retry"),
    ("DELETE", "/api/v1/tasks/{}"),
]


@pytest.mark.parametrize(("method", "path"), JOB_PATHS)
@pytest.mark.parametrize("job_id", [UNKNOWN, "nonsense", "job_" + "g" * 32, UNKNOWN + "%0A", "%00", "..", "é" * 500])
def test_an_unknown_or_malformed_id_is_404(api_client, read_problem, method, path, job_id):
    """Every call that takes an id answers both in the same way."""
    response = api_client.open(path.format(job_id), method=method)

    code = response.json["error"]["code"]
    assert code in {"job_not_found", "not_found"}
    read_problem(response, 404, code)


def test_a_malformed_id_never_reaches_redis(make_api, silent_port, read_problem):
    """An id from the URL must not form an arbitrary key."""
    client = make_api(silent_port).test_client()

    read_problem(client.get("/api/v1/tasks/nonsense"), 404, "job_not_found")


def test_more_than_a_thousand_ids_is_422(api_client, read_problem):
    """The number of ids in one call is bounded."""
    response = api_client.get("/api/v1/tasks?ids=" + ",".join([UNKNOWN] * 1001))

    problem = read_problem(response, 422, "invalid_request")
    assert problem["errors"] == [{"parameter": "ids", "detail": "must have at most 1000 ids"}]


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        ("/api/v1/tasks?colour=red&ids=a", "colour"),
        ("/api/v1/tasks?status=done", "status"),
        ("/api/v1/tasks?limit=0", "limit"),
        ("/api/v1/tasks?limit=101", "limit"),
        ("/api/v1/tasks?limit=ten", "limit"),
        ("/api/v1/tasks?limit=1&limit=2", "limit"),
        ("/api/v1/tasks?cursor=zz", "cursor"),
        ("/api/v1/tasks?ids=a&status=queued", "status"),
        ("/api/v1/tasks?ids=a&cursor=1", "cursor"),
        (f"/api/v1/chat/jobs/{UNKNOWN}?wait=61", "wait"),
        (f"/api/v1/chat/jobs/{UNKNOWN}?wait=-1", "wait"),
        (f"/api/v1/chat/jobs/{UNKNOWN}?wait=nan", "wait"),
        (f"/api/v1/chat/jobs/{UNKNOWN}?colour=red", "colour"),
        (f"/api/v1/tasks/{UNKNOWN}?colour=red", "colour"),
        ("/api/v1/queue/stats?colour=red", "colour"),
        ("/health?colour=red", "colour"),
    ],
)
def test_an_invalid_query_argument_is_named(api_client, read_problem, path, wrong):
    """Unknown, repeated and invalid arguments are each reported by name."""
    problem = read_problem(api_client.get(path), 422, "invalid_request")

    assert [error["parameter"] for error in problem["errors"]] == [wrong]
    assert problem["error"]["param"] == wrong


@pytest.mark.parametrize("path", SUBMITS)
def test_an_unknown_query_argument_of_a_submit_creates_nothing(api_client, read_problem, path):
    """The request is rejected before a job is created."""
    read_problem(_post(api_client, {"message": "a"}, f"{path}?colour=red"), 422, "invalid_request")

    assert api_client.get("/api/v1/tasks").json["tasks"] == []


@pytest.mark.parametrize("key", ["", " ", "a b", "é", "a" * 256, '"', '"a', '""', '"a\\b"', '"' + "a" * 256 + '"'])
def test_a_malformed_idempotency_key_is_422(api_client, read_problem, key):
    """The error names the header."""
    response = _post(api_client, {"message": "a"}, headers={"Idempotency-Key": key.encode().decode("latin-1")})

    problem = read_problem(response, 422, "invalid_request")
    assert problem["error"]["param"] == "Idempotency-Key"


@pytest.mark.parametrize("key", ["a", "a" * 255, '"a"', '"a\\"b"', 'a"b', '"' + "a" * 255 + '"'])
def test_an_idempotency_key_of_visible_characters_is_accepted(api_client, key):
    """Bare and quoted keys of all visible characters are valid."""
    assert _post(api_client, {"message": "a"}, headers={"Idempotency-Key": key}).status_code == 202


def test_the_same_key_with_another_body_is_422(api_client, read_problem):
    """A key identifies one request, so another body is a mistake of the caller."""
    headers = {"Idempotency-Key": "k"}
    _post(api_client, {"message": "a"}, headers=headers)

    problem = read_problem(_post(api_client, {"message": "b"}, headers=headers), 422, "idempotency_conflict")
    assert problem["error"]["param"] == "Idempotency-Key"


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
