"""A 404 or 405 for a path names the nearest path that exists, in both error formats."""

import pytest

NONE = "GET /openapi.json lists all paths"
CHAT = "POST /v1/chat/completions"


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("POST", "/v1/chat/completion", f"nearest is {CHAT}"),
        ("POST", "/v1/chat", f"nearest is {CHAT}"),
        ("POST", "/v1/embedding", "nearest is POST /v1/embeddings"),
        ("GET", "/v1/responses/x/input_item", "nearest is GET /v1/responses/{response_id}/input_items"),
        ("GET", "/api/v1/task", "nearest is GET or POST /api/v1/tasks"),
        ("GET", "/api/v1/chat/job/x", "nearest is GET /api/v1/chat/jobs/{job_id}"),
        ("GET", "/healthz", "nearest is GET /health"),
        (
            "POST",
            "/v1/v1/chat/completions",
            f"prefix twice, and the base URL must end with it once; the path is {CHAT}",
        ),
        ("POST", "/v1/v1/v1/embeddings", "the path is POST /v1/embeddings"),
        ("POST", "/api/v1/api/v1/chat/sync", "the path is POST /api/v1/chat/sync"),
        ("POST", "/chat/completions", f"must begin with /v1; the path is {CHAT}"),
        ("GET", "/models", "must begin with /v1; the path is GET /v1/models"),
        ("POST", "/api/v1/chat/completions", f"must begin with /v1; the path is {CHAT}"),
        ("POST", "/openai/v1/chat/completions", f"must begin with /v1; the path is {CHAT}"),
        ("POST", "/chat/sync", "must begin with /api/v1; the path is POST /api/v1/chat/sync"),
        ("POST", "/V1/Chat/Completions", f"lower case; the path is {CHAT}"),
        ("POST", "/v1/files", "/v1/files is not supported by this server; send the calls one by one"),
        ("POST", "/v1/v1/batches", "/v1/batches is not supported by this server; send the calls one by one"),
        ("POST", "/v1/audio/speech", "/v1/audio is not supported by this server"),
        ("POST", "/v1/responses/input_tokens", "/v1/responses/input_tokens is not supported by this server"),
        ("GET", "/v1", NONE),
        ("GET", "/canary", NONE),
        ("GET", "/v1/canary" + "a/" * 50_000, NONE),
    ],
)
def test_an_unknown_path_is_answered_with_the_nearest(api_client, read_problem, method, path, expected):
    """Whoever mistypes a path or the base URL learns what to correct. The path itself is not repeated."""
    problem = read_problem(api_client.open(path, method=method), 404, "not_found")

    assert expected in problem["detail"]
    assert "canary" not in problem["detail"]
    assert (problem["error"]["type"], problem["error"]["param"]) == ("invalid_request_error", None)


@pytest.mark.parametrize(
    ("method", "path", "expected", "allowed"),
    [
        ("GET", "/v1/chat/completions", "GET is not allowed on this path, which takes POST", {"POST", "OPTIONS"}),
        ("PATCH", "/v1/responses/x", "which takes DELETE and GET", {"DELETE", "GET", "HEAD", "OPTIONS"}),
        ("PUT", "/api/v1/tasks", "which takes GET and POST", {"GET", "HEAD", "POST", "OPTIONS"}),
        (
            "CANARY",
            "/v1/models",
            "this method is not allowed on this path, which takes GET",
            {"GET", "HEAD", "OPTIONS"},
        ),
    ],
)
def test_a_wrong_method_is_answered_with_the_right_ones(api_client, read_problem, method, path, expected, allowed):
    """The header Allow has them too."""
    response = api_client.open(path, method=method)

    assert expected in read_problem(response, 405, "method_not_allowed")["detail"]
    assert set(response.headers["Allow"].split(", ")) == allowed
