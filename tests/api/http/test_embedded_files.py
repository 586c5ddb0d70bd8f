"""The images and files in a JSON body do not count against the limit of the rest."""

import base64
import json

import pytest

from api.http.embedded_files import bytes_without_files
from jobs.kinds.response import ResponseAnswer
from jobs.storage import keys

ANSWER = ResponseAnswer(text="an answer", model="m", finish_reason="stop", usage=None)

DATA = base64.b64encode(bytes(range(256)) * 40).decode()
BODIES = [
    {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": f"data:image/png;base64,{DATA}"}]}]},
    {"input": [{"role": "user", "content": [{"type": "input_file", "filename": "a.pdf", "file_data": DATA}]}]},
    {"input": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": DATA, "format": "wav"}}]}]},
    {"input": [{"type": "image_generation_call", "id": "ig_1", "result": DATA}]},
]


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize(
    "encode",
    [
        json.dumps,
        lambda body: json.dumps(body, separators=(",", ":")),
        lambda body: json.dumps(body).replace("/", r"\/"),
    ],
    ids=["python", "compact", "php"],
)
def test_base64_data_is_not_counted_however_it_is_written(body, encode):
    """PHP escapes each slash."""
    encoded = encode(body).encode()

    assert bytes_without_files(encoded) < 250 < len(encoded)


@pytest.mark.parametrize("text", ["word " * 2_000, DATA, "data " + DATA, r"\u0041" * 2_000])
def test_other_text_is_counted_whatever_it_looks_like(text):
    """Only the fields and URLs that contain files are exempt."""
    body = json.dumps({"input": text}).encode()

    assert bytes_without_files(body) == len(body)


@pytest.mark.parametrize(
    ("path", "name"),
    [("/v1/responses", "input"), ("/v1/chat/completions", "messages"), ("/v1/responses/compact", "input")],
)
def test_a_body_may_be_large_because_of_its_images_only(make_api, api_redis_port, path, name):
    """The limit of all images is a second one, and the error names the limit that was exceeded."""
    settings = {"max_body_bytes": 1_000, "max_body_files_bytes": 20_000, "client_wait_seconds": 0.05}
    client = make_api(api_redis_port, **settings).test_client()

    def post(text="hi", data=DATA):
        part = {"type": "input_image", "image_url": f"data:image/png;base64,{data}"}
        content = [{"type": "input_text", "text": text}, part]
        return client.post(path, json={"model": "m", name: [{"role": "user", "content": content}]})

    assert post().status_code == 504  # accepted: nobody answers it
    for refused in (post(text="word " * 200), post(data=DATA * 2)):
        assert (refused.status_code, refused.json["error"]["code"]) == (413, "body_too_large")
    assert "1000 bytes" in post(text="word " * 200).json["error"]["message"]


def test_a_large_request_is_gone_before_its_answer(api_client, fake_worker, redis_client_of_api):
    """Images must not fill Redis for as long as an answer is kept. Without them the answer can still be read."""
    image = {"type": "input_image", "image_url": f"data:image/png;base64,{DATA * 100}"}
    ids = []
    for content in ([image], "hi"):
        message = {"role": "user", "content": content}
        ids.append(api_client.post("/v1/responses", json={"input": [message], "background": True}).json["id"])
        fake_worker.complete(ids[-1], ANSWER)

    large, small = ids
    assert redis_client_of_api.ttl(keys.request(large)) <= 3_600 < redis_client_of_api.ttl(keys.request(small))
    redis_client_of_api.delete(keys.request(large))
    shown = api_client.get(f"/v1/responses/{large}").json
    assert (shown["status"], len(shown["output"])) == ("completed", 1)
    assert api_client.get(f"/v1/chat/completions/{large}").status_code == 200
    continued = api_client.post("/v1/responses", json={"model": "m", "input": "and?", "previous_response_id": large})
    assert (continued.status_code, continued.json["error"]["code"]) == (400, "request_unreadable")
