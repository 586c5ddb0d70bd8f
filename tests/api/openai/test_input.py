"""/v1: accepted and rejected input. Every accepted request can be read again."""

import gzip
import json
import sys
import zlib

import pytest

from jobs.kinds import read_request
from jobs.kinds.completion import CompletionTask
from jobs.kinds.ingest import IngestTask
from jobs.kinds.response import ResponseAnswer
from jobs.states import State
from jobs.storage import keys, transitions
from jobs.storage.transitions import UnreadableClaim

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ANSWER = ResponseAnswer(text="an answer", model="m", finish_reason="stop", usage=None)
CANARY = "canary-51cc"


def post(client, headers=None, **body):
    return client.post("/v1/responses", json={"background": True} | body, headers=headers or {})


def post_raw(client, body, **headers):
    return client.post("/v1/responses", data=body, content_type="application/json", headers=headers)


def nested(levels):
    inner = levels - 1  # the body itself is one level
    return b'{"background":true,"input":"hi","extra":' + b'{"a":' * inner + b"1" + b"}" * inner + b"}"


def answered(client, fake_worker, **body):
    response_id = post(client, **body).json["id"]
    fake_worker.complete(response_id, ANSWER)
    return response_id


def test_the_deepest_accepted_body_can_be_read_again(api_client, fake_worker):
    """The stored request and the returned object nest the body in further levels."""
    accepted = post_raw(api_client, nested(150))
    refused = post_raw(api_client, nested(151))
    fake_worker.complete(accepted.json["id"], ANSWER)

    assert (refused.status_code, refused.json["error"]["code"]) == (400, "malformed_json")
    assert "150 levels" in refused.json["detail"]
    response = api_client.get(f"/v1/responses/{accepted.json['id']}/input_items")
    assert response.json["data"][0]["content"][0]["text"] == "hi"


@pytest.mark.parametrize("number", [b"NaN", b"-Infinity", b"1e999"])
def test_nan_and_infinity_are_rejected(api_client, number):
    """A value that JSON cannot express could not be stored."""
    refused = post_raw(api_client, b'{"background":true,"input":"hi","temperature":' + number + b"}")

    assert (refused.status_code, refused.json["error"]["code"]) == (400, "malformed_json")


def post_encoded(api_client, path, body, encoding):
    return api_client.post(path, data=body, content_type="application/json", headers={"Content-Encoding": encoding})


FRAME = zstd.compress(b'{"message":"hi"}')
SKIPPABLE_FRAME = b"\x50\x2a\x4d\x18" + b"\x02\0\0\0" + b"xx"
WINDOW_OF_128_MIB: dict[int, int] = {
    zstd.CompressionParameter.window_log: 27,
    zstd.CompressionParameter.content_size_flag: 0,
    zstd.CompressionParameter.enable_long_distance_matching: 1,
}
BODIES = {"/v1/responses": b'{"background":true,"input":"hi"}', "/api/v1/chat/async": b'{"message":"hi"}'}


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize(
    ("encoding", "encode"),
    [
        ("identity", bytes),
        ("gzip", gzip.compress),
        ("GZIP", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", lambda body: zlib.compress(body, wbits=-zlib.MAX_WBITS)),
        ("gzip", lambda body: gzip.compress(body[:5]) + gzip.compress(b"") + gzip.compress(body[5:])),
        ("zstd", zstd.compress),
        ("zstd", lambda body: zstd.compress(b"") + zstd.compress(body[:5]) + SKIPPABLE_FRAME + zstd.compress(body[5:])),
    ],
)
def test_a_compressed_body_is_read(api_client, path, encoding, encode):
    """Some clients compress long conversations."""
    accepted = post_encoded(api_client, path, encode(BODIES[path]), encoding)

    assert accepted.status_code in (200, 202), accepted.text


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize(
    ("encoding", "body", "code"),
    [
        ("br", b"x", "unsupported_media_type"),
        ("gzip, gzip", b"x", "unsupported_media_type"),
        ("gzip", b'{"message":"hi"}', "malformed_json"),
        ("gzip", gzip.compress(b'{"message":"hi"}', mtime=0)[:-9], "malformed_json"),
        ("gzip", gzip.compress(b" " * 50_000_000, mtime=0), "body_too_large"),
        ("deflate", b"", "malformed_json"),
        ("gzip", gzip.compress(b'{"message":"hi"}', mtime=0) + b"x", "malformed_json"),
        ("gzip", gzip.compress(b"", mtime=0) * 1000, "malformed_json"),
        ("zstd", b"", "malformed_json"),
        ("zstd", b'{"message":"hi"}', "malformed_json"),
        ("zstd", FRAME[:-1], "malformed_json"),
        ("zstd", FRAME + FRAME[:-1], "malformed_json"),
        ("zstd", FRAME + b"x", "malformed_json"),
        ("zstd", zstd.compress(b"") * 1000, "malformed_json"),
        ("zstd", zstd.compress(b" " * 50_000_000), "body_too_large"),
        ("zstd", zstd.compress(b" " * 1_000_000) * 100, "body_too_large"),
        ("zstd", zstd.compress(b" " * 50_000_000, options=WINDOW_OF_128_MIB), "malformed_json"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_compressed_body_that_cannot_be_read_is_rejected(api_client, path, encoding, body, code):
    """The limit of the size holds for the decompressed body: a small body must not fill the memory."""
    refused = post_encoded(api_client, path, body, encoding)

    assert refused.json["error"]["code"] == code
    assert refused.status_code in (400, 413, 415)


WIDE = b",".join(b'"k%x":1' % number for number in range(150_000))
HOSTILE = [b'{"input":"a",%s}' % WIDE, b'{"input":%s' % (b"[" * 90_000), b'{"input":[%s1]}' % (b"1," * 90_000)]


@pytest.mark.parametrize("body", HOSTILE, ids=["wide", "deep", "wrong"])
def test_a_compressed_body_has_the_limits_of_the_same_body_uncompressed(api_client, body):
    """It is refused for the same reason, and as early."""
    plain, compressed = (post_encoded(api_client, "/v1/responses", *sent) for sent in encodings(body))

    assert plain.status_code in (400, 422)
    assert (compressed.status_code, compressed.json) == (plain.status_code, plain.json)


def encodings(body):
    return (body, "identity"), (gzip.compress(body), "gzip")


@pytest.mark.parametrize("path", ["/v1/responses/", "/v1/embeddings/", "/v1/chat/completions/", "/v1/models/"])
def test_a_slash_at_the_end_of_a_path_is_ignored(api_client, path):
    """Some clients join a base URL and a path so. A redirect would lose the body of the request."""
    answered = api_client.get(path) if path == "/v1/models/" else api_client.post(path, json={})

    assert answered.status_code != 404
    assert answered.status_code != 308


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/responses", {"input": "a"}),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "a"}]}),
        ("/v1/embeddings", {"input": "a"}),
    ],
)
@pytest.mark.parametrize(
    "name", ["api_base", "api_key", "model_list", "extra_headers", "litellm_metadata", "extra_body"]
)
def test_fields_that_control_a_gateway_are_rejected(api_client, path, body, name):
    """A gateway between this server and the provider would obey them, with this server's key."""
    refused = api_client.post(path, json=body | {name: {"api_base": "http://canary-9f.example"}})

    assert (refused.status_code, refused.json["error"]["code"]) == (400, "invalid_request")
    assert f"{name} is not allowed" in refused.json["error"]["message"]
    assert "canary-9f" not in refused.text


@pytest.mark.parametrize("name", ["api_base", "apiKey", "metadata", "litellm_params"])
def test_the_native_api_rejects_them_too(api_client, name):
    """Its only field that is forwarded is extra_body; of the body itself, every unknown field is rejected."""
    task = {"kind": "embeddings", "input": ["a"]}
    inside = api_client.post("/api/v1/tasks", json=task | {"extra_body": {name: {}}})
    outside = [
        api_client.post("/api/v1/tasks", json=task | {"api_base": "x"}),
        api_client.post("/api/v1/chat/async", json={"message": "a", "api_base": "x"}),
    ]

    assert (inside.status_code, inside.json["error"]["param"]) == (422, "extra_body")
    assert f"{name} is not allowed" in inside.json["error"]["message"]
    assert [(answer.status_code, answer.json["error"]["param"]) for answer in outside] == [(422, "api_base")] * 2


def test_a_model_may_have_a_space_in_its_name(api_client):
    """Some providers use such names; a space at the beginning is still invalid."""
    assert post(api_client, input="hi", model="my model").json["model"] == "my model"
    assert post(api_client, input="hi", model=" m").status_code == 400


@pytest.fixture
def unreadable(api_client, fake_worker, api_services):
    """A response that failed because its stored request is damaged."""
    response_id = post(api_client, input="hi").json["id"]
    api_services.store._client.set(keys.request(response_id), f'{{"input":"{CANARY}",,')
    claimed = fake_worker.store.run(
        transitions.claim(response_id, "c", "worker-1", fake_worker.message_template, fake_worker.settings)
    )
    assert isinstance(claimed, UnreadableClaim)
    assert CANARY not in repr(claimed)
    assert fake_worker.store.run(transitions.fail(claimed.lease, claimed.error, None, fake_worker.settings))
    return response_id


def test_a_job_with_an_unreadable_request_can_be_shown_and_deleted(api_client, unreadable):
    """Only calls that need the request fail."""
    task = api_client.get(f"/api/v1/tasks/{unreadable}").json
    response = api_client.get(f"/v1/responses/{unreadable}")
    retried = api_client.post(f"/api/v1/tasks/{unreadable}/retry")
    many = api_client.post("/api/v1/tasks/retry", json={})

    assert (task["status"], task["error_code"]) == ("failed", "request_unreadable")
    assert (response.status_code, response.json["error"]["code"]) == (400, "request_unreadable")
    assert (retried.status_code, retried.json["error"]["code"]) == (422, "request_unreadable")
    assert many.json["retried"] == []
    assert CANARY not in response.text + retried.text
    assert api_client.delete(f"/v1/responses/{unreadable}").json["deleted"] is True
    assert api_client.get(f"/api/v1/tasks/{unreadable}").status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", "/v1/responses/{}"),
        ("get", "/v1/responses/{}?stream=true"),
        ("get", "/v1/responses/{}/input_items"),
        ("post", "/v1/responses/{}/cancel"),
        ("delete", "/v1/responses/{}"),
        ("get", "/v1/chat/completions/{}"),
    ],
)
def test_an_ingest_is_not_a_conversation(api_client, api_services, method, path):
    """/v1/responses neither shows, cancels nor deletes it."""
    task = IngestTask(kind="ingest", document_id="doc_" + "0" * 32, filename="a.txt")
    job_id = api_services.submitter.submit(task).job_id

    assert getattr(api_client, method)(path.format(job_id)).status_code == 404
    assert api_client.get(f"/api/v1/tasks/{job_id}").json["status"] == State.QUEUED


def test_a_conversation_continues_without_further_input(api_client, fake_worker):
    """`previous_response_id` alone is a valid request."""
    first = answered(api_client, fake_worker, input="hi")

    assert post(api_client, previous_response_id=first).status_code == 200


def test_a_conversation_may_be_as_long_as_a_body(make_api, api_redis_port, fake_worker):
    """The limit of a request body applies to the whole conversation."""
    client = make_api(api_redis_port, max_body_bytes=2_000).test_client()
    first = answered(client, fake_worker, input="x" * 900)
    second = answered(client, fake_worker, input="y" * 500, previous_response_id=first)
    refused = post(client, input="z" * 900, previous_response_id=second)

    assert (refused.status_code, refused.json["error"]["code"]) == (400, "conversation_too_long")
    assert refused.json["error"]["param"] == "previous_response_id"


def test_the_length_of_a_conversation_is_counted_in_bytes(make_api, api_redis_port, fake_worker):
    """A character of several bytes counts as several."""
    client = make_api(api_redis_port, max_body_bytes=2_000).test_client()
    first = answered(client, fake_worker, input="x" * 900)
    body = json.dumps({"background": True, "input": "\u00fc" * 600, "previous_response_id": first}, ensure_ascii=False)
    refused = post_raw(client, body.encode())

    assert (refused.status_code, refused.json["error"]["code"]) == (400, "conversation_too_long")


def test_an_idempotency_key_finds_its_job_after_the_previous_response_is_gone(api_client, fake_worker):
    """A repeated request must not fail because its history has expired."""
    first = answered(api_client, fake_worker, input="hi")
    headers = {"Idempotency-Key": "k"}
    second = post(api_client, headers, input="and?", previous_response_id=first).json["id"]
    api_client.delete(f"/v1/responses/{first}")

    assert post(api_client, headers, input="and?", previous_response_id=first).json["id"] == second
    other = post(api_client, headers, input="or?", previous_response_id=first)
    assert (other.status_code, other.json["error"]["code"]) == (400, "previous_response_not_found")


CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
MESSAGES = [
    {"role": "system", "content": "Be brief."},
    {
        "role": "user",
        "content": [{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": {"url": "data:x"}}],
    },
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "c1", "content": "r"},
]


def test_a_completion_with_tools_and_images_continues_as_a_response(api_client, fake_worker, api_services):
    """All of its messages have a counterpart among the items of a response."""
    task = CompletionTask(kind="completion", body={"messages": MESSAGES})
    completion = api_services.submitter.submit(task, id_prefix="chatcmpl").job_id
    fake_worker.complete(completion, ANSWER)
    going_on = post(api_client, input="and?", previous_response_id=completion).json["id"]
    items = api_client.get(f"/v1/responses/{going_on}/input_items?order=asc").json["data"]

    assert [item.get("role", item["type"]) for item in items] == [
        "system", "user", "function_call", "function_call_output", "assistant", "user",
    ]  # fmt: skip
    assert items[1]["content"] == [
        {"type": "input_text", "text": "What?"},
        {"type": "input_image", "image_url": "data:x", "detail": "auto"},
    ]
    assert (items[2]["call_id"], items[2]["name"], items[2]["arguments"]) == ("c1", "f", "{}")
    assert (items[3]["call_id"], items[3]["output"]) == ("c1", "r")


@pytest.mark.parametrize("output", [None, [None, {"id": "x"}, {"type": 5}]])
def test_malformed_output_of_the_provider_is_left_out(api_client, fake_worker, output):
    """The rest of the response is still shown."""
    response_id = post(api_client, input="hi").json["id"]
    fake_worker.complete(response_id, ANSWER.model_copy(update={"body": {"output": output}}))

    assert api_client.get(f"/v1/responses/{response_id}").json["output"] == []
    assert post(api_client, input="and?", previous_response_id=response_id).status_code == 200


@pytest.mark.parametrize("path", ["/v1//responses", "/v1/responses//"])
def test_a_slash_too_many_does_not_matter(api_client, path):
    """Base URLs end with one. A redirect would lose the body of many clients."""
    accepted = api_client.post(path, json={"model": "m", "input": "hi", "background": True})

    assert (accepted.status_code, accepted.json["status"]) == (200, "queued")


def test_a_model_may_be_named_by_a_long_path(api_client):
    """Some clouds name models by ARNs; the limit is 512 characters."""
    name = "arn:aws:bedrock:us-east-1:4711:application-inference-profile/" + "x" * 300

    assert post(api_client, model=name, input="hi").json["model"] == name
    assert post(api_client, model="x" * 513, input="hi").status_code == 400


def test_an_unknown_id_is_named_after_what_it_identifies(api_client):
    """A caller of /v1 knows responses and chat completions, and no jobs."""
    missing = [api_client.get(f"/v1/{path}") for path in ("responses/resp_1", "chat/completions/x")]

    assert [answer.json["error"]["message"].partition(":")[0] for answer in missing] == [
        "no such response",
        "no such completion",
    ]


def test_spaces_are_a_text_to_embed(make_api, api_redis_port, redis_client_of_api):
    """OpenAI embeds them; one such line must not fail a batch. An empty text has no meaning."""
    client = make_api(api_redis_port, client_wait_seconds=0.05).test_client()
    refused = client.post("/v1/embeddings", json={"model": "e", "input": ["a", ""]})
    accepted = client.post("/v1/embeddings", json={"model": "e", "input": ["a", " "]})
    job_id = accepted.json["error"]["message"].split()[0]

    assert (accepted.status_code, refused.status_code) == (504, 400)
    assert list(read_request(redis_client_of_api.get(keys.request(job_id))).texts()) == ["a", " "]
