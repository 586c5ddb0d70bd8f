"""Bad ids, query arguments and idempotency keys: each gets its status, and the name of the parameter."""

import pytest

UNKNOWN = "job_" + "0" * 32
ASYNC = "/api/v1/chat/async"
SUBMITS = [ASYNC, "/api/v1/chat/sync", "/api/v1/tasks"]


def _post(client, body, path=ASYNC, **options):
    return client.post(path, json=body, **options)


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
