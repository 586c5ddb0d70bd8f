"""The offline model answers in OpenAI's format, states that it is no model, and fails as a prompt asks."""

import asyncio
import base64
import http.client
import json
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from itertools import count

import aiohttp
import openai
import pytest

from local.offline_model.calls import CallLog, default_key
from local.offline_model.directive import Directive, DirectiveError, parse_directive
from tests.support.processes import free_port, running

COMMAND = [sys.executable, "-W", "error", "-m", "local.offline_model"]
LISTENING = "offline model listening on "
KEYS = (f"key-{number}" for number in count())


def port_of(process):
    return int(process.wait_for(LISTENING).rsplit(":", 1)[1].removesuffix("/v1\n"))


@pytest.fixture(scope="module")
def port():
    with running([*COMMAND, "--port", "0"], ready=LISTENING) as process:
        yield port_of(process)


@pytest.fixture(scope="module")
def client(port):
    with openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="any", max_retries=0, timeout=5) as client:
        yield client


@pytest.fixture
def key():
    return next(KEYS)


def ask(client, prompt, **options):
    return client.chat.completions.create(model="m", messages=[{"role": "user", "content": prompt}], **options)


def chat_body(prompt, **options):
    return {"model": "m", "messages": [{"role": "user", "content": prompt}], **options}


def send(port, method, path, body=None, headers=None):
    """Status, headers and text, over plain HTTP."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection.request(method, path, data, {"Authorization": "Bearer x"} if headers is None else headers)
        response = connection.getresponse()
        return response.status, response.headers, response.read().decode()
    finally:
        connection.close()


def counts(port, key):
    by_key = json.loads(send(port, "GET", "/offline/calls")[2])["by_key"]
    return by_key.get(key, {"calls": 0, "open": 0, "closed_early": 0})


def eventually(condition, seconds=5.0):
    deadline = time.monotonic() + seconds

    while not (result := condition()):
        assert time.monotonic() < deadline, "the condition did not hold in time"
        threading.Event().wait(0.01)
    return result


def test_an_answer_is_deterministic_and_states_that_no_model_wrote_it(client):
    """The default answer cannot be mistaken for a model's, and a test can compare it verbatim."""
    first, second = (ask(client, 'One two "three" four five six seven eight nine') for _ in range(2))

    assert first.choices[0].message.content == (
        "This is the offline model of chatqueue: no language model wrote this. "
        'You sent 9 words; they begin: "One two "three" four five six seven eight"'
    )
    assert second.choices == first.choices
    assert first.choices[0].finish_reason == "stop"
    assert first.usage.prompt_tokens == 9
    assert first.usage.completion_tokens == len(first.choices[0].message.content.split())
    assert first.usage.total_tokens == first.usage.prompt_tokens + first.usage.completion_tokens


def test_a_stream_has_the_same_answer_word_by_word(client):
    """The joined deltas equal the answer of a call without stream; the last chunk carries usage."""
    full = ask(client, "Hello there")
    *chunks, last = ask(client, "Hello there", stream=True, stream_options={"include_usage": True})

    words = [chunk.choices[0].delta.content for chunk in chunks[1:-1]]
    assert "".join(words) == full.choices[0].message.content
    assert all(len(word.split()) == 1 for word in words)
    assert [chunk.choices[0].finish_reason for chunk in chunks[-2:]] == [None, "stop"]
    assert (last.choices, last.usage) == ([], full.usage)
    assert len({chunk.id for chunk in (*chunks, last)}) == 1


def test_a_stream_has_the_events_of_openai(port):
    """The role comes first, then one event per token, the finish reason and [DONE]; usage only on request."""
    body = chat_body("[[offline tokens=2]]", stream=True)
    status, headers, text = send(port, "POST", "/v1/chat/completions", body)

    *events, done, rest = text.split("\n\n")
    chunks = [json.loads(event.removeprefix("data: ")) for event in events]
    assert status == 200
    assert headers["Content-Type"].startswith("text/event-stream")
    assert (done, rest) == ("data: [DONE]", "")
    assert [chunk["choices"][0]["delta"] for chunk in chunks] == [
        {"role": "assistant", "content": "", "refusal": None},
        {"content": "w0"},
        {"content": " w1"},
        {},
    ]
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert not any("usage" in chunk for chunk in chunks)


@pytest.mark.parametrize("limit", [{"max_tokens": 3}, {"max_completion_tokens": 3}])
def test_an_answer_ends_at_its_token_limit(client, limit):
    """A word is a token. An answer that is cut has the finish_reason length, streamed or not."""
    full = ask(client, "[[offline tokens=5]]", **limit)
    chunks = list(ask(client, "[[offline tokens=5]]", stream=True, **limit))

    assert full.choices[0].message.content == "w0 w1 w2"
    assert full.choices[0].finish_reason == chunks[-1].choices[0].finish_reason == "length"
    assert full.usage.completion_tokens == 3


def test_the_prompt_chooses_text_and_finish_reason(client):
    """`say` is repeated verbatim, `filter` sets the reason, and only the user's last message counts."""
    messages = [
        {"role": "user", "content": "[[offline status=500]]"},
        {
            "role": "user",
            "content": [{"type": "text", "text": 'Now [[offline say=" a  b]] " filter=1]] please'}],
        },
        {"role": "assistant", "content": "[[offline status=500]]"},
    ]
    answer = client.chat.completions.create(model="m", messages=messages)

    assert answer.choices[0].message.content == " a  b]] "
    assert answer.choices[0].finish_reason == "content_filter"


def test_texts_that_share_words_have_similar_embeddings(client):
    """Vectors have length 1; the same text gives the same vector, as floats and as base64."""
    texts = ["the cat sat on the mat", "the cat lay on the mat", "quarterly revenue grew again"]
    packed = client.embeddings.create(model="m", input=texts)
    plain = client.embeddings.create(model="m", input=texts[0], encoding_format="float")

    cat, other_cat, revenue = (item.embedding for item in packed.data)
    assert len(cat) == 384
    assert cat == pytest.approx(plain.data[0].embedding, abs=1e-6)
    assert dot(cat, cat) == pytest.approx(1, abs=1e-5)
    assert dot(cat, other_cat) > 0.6
    assert dot(cat, revenue) < 0.3
    assert packed.usage.prompt_tokens == 16


def test_embeddings_have_the_requested_dimensions(port):
    """A vector of another length could not be stored; base64 is little-endian float32."""
    body = {"model": "m", "input": "hello", "dimensions": 8, "encoding_format": "base64"}
    embedding = json.loads(send(port, "POST", "/v1/embeddings", body)[2])["data"][0]["embedding"]
    plain = json.loads(send(port, "POST", "/v1/embeddings", {**body, "encoding_format": "float"})[2])

    vector = struct.unpack("<8f", base64.b64decode(embedding))
    assert vector == pytest.approx(plain["data"][0]["embedding"])


def test_models_are_listed_and_health_needs_no_key(client, port):
    """The models are those of the settings; an unknown model raises the SDK's NotFoundError."""
    name = client.models.list().data[0].id

    assert client.models.retrieve(name).id == name
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("no/such")
    assert caught.value.code == "model_not_found"
    assert send(port, "GET", "/health", headers={})[0] == 200


@pytest.mark.parametrize(
    ("path", "body", "status", "param"),
    [
        ("/v1/chat/completions", b'{"messages": [', 400, None),
        ("/v1/chat/completions", {"model": "m"}, 400, "messages"),
        ("/v1/chat/completions", {"model": "m", "messages": []}, 400, "messages"),
        ("/v1/embeddings", {"model": "m"}, 400, "input"),
        ("/v1/chat/completions", chat_body("[[offline statu=500]]"), 400, None),
        ("/v1/nothing", {}, 404, None),
    ],
)
def test_a_bad_request_is_rejected_in_openais_format(port, path, body, status, param):
    """Malformed and incomplete bodies, misspelt directives and unknown paths get a JSON error that names the field."""
    actual_status, _, text = send(port, "POST", path, body)

    error = json.loads(text)["error"]
    assert (actual_status, error["type"], error["param"]) == (status, "invalid_request_error", param)
    assert set(error) == {"message", "type", "param", "code"}


def test_a_request_without_a_key_is_rejected(port):
    """Any key is accepted; a missing key is a 401 in OpenAI's format."""
    status, _, text = send(port, "POST", "/v1/chat/completions", chat_body("hello"), headers={})

    assert status == 401
    assert json.loads(text)["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[[offline delay=1", "not closed"),
        ("[[offline dela=1]]", "unknown key 'dela'"),
        ("[[offline delay=nan]]", "seconds from 0 to 3600"),
        ("[[offline tokens=-1]]", "whole number from 0"),
        ("[[offline status=418]]", "one of 400, 401"),
        ("[[offline stall=1 cut=1]]", "only one of status"),
        ("[[offline tokens=1 tokens=2]]", "appears twice"),
        ("[[offline times=2]]", "times needs"),
        ("[[offline 5]]", "cannot read"),
        ("[[offline say=a]] [[offline say=b]]", "more than one"),
    ],
)
def test_an_invalid_directive_is_rejected_with_the_reason(text, reason):
    """A test that misspells its fault must fail, not pass without the fault."""
    with pytest.raises(DirectiveError, match=reason):
        parse_directive(text)


def test_a_directive_is_removed_from_the_prompt():
    """It may be anywhere in the text, quoted values may contain spaces and brackets, and the rest is unchanged."""
    assert parse_directive('a [[offline say="x ]] y" delay=0.5 key=k]] b') == (
        Directive(say="x ]] y", delay_seconds=0.5, key="k"),
        "a  b",
    )
    assert parse_directive("no [[offliner]] here") == (Directive(), "no [[offliner]] here")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (408, openai.APIStatusError),
        (409, openai.ConflictError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
    ],
)
def test_a_requested_status_raises_the_sdks_error(client, status, kind):
    """Chat and embeddings raise the same class, with the Retry-After and the code of the directive."""
    prompt = f"[[offline status={status} retry_after=1.5 code=some_code]]"
    with pytest.raises(kind) as from_chat:
        ask(client, prompt, stream=True)
    with pytest.raises(kind):
        client.embeddings.create(model="m", input=[prompt])

    assert (from_chat.value.status_code, from_chat.value.code) == (status, "some_code")
    assert from_chat.value.response.headers["retry-after"] == "2"
    assert from_chat.value.response.headers["retry-after-ms"] == "1500"


def test_a_fault_ends_after_the_given_number_of_calls(client, port, key):
    """The SDK's own retry succeeds on the third call, and all three calls are counted."""
    prompt = f"[[offline status=503 retry_after=0.01 times=2 key={key} say=done]]"
    answer = ask(client.with_options(max_retries=2), prompt)

    assert answer.choices[0].message.content == "done"
    assert counts(port, key)["calls"] == 3


def test_a_cut_closes_the_connection_after_its_tokens(client, port, key):
    """All tokens before the cut arrive; the server's own cut is not counted as a disconnect of the client."""
    deltas = []
    with pytest.raises(openai.APIConnectionError):  # noqa: PT012
        for chunk in ask(client, f"[[offline tokens=9 cut=3 key={key}]]", stream=True):
            deltas.append(chunk.choices[0].delta.content)  # noqa: PERF401
    with pytest.raises(openai.APIConnectionError):
        ask(client, f"[[offline cut=0 key={key}]]")

    assert deltas == ["", "w0", " w1", " w2"]
    eventually(lambda: counts(port, key)["open"] == 0)
    assert counts(port, key)["closed_early"] == 0


def test_an_early_end_has_no_finish_reason_and_no_done(port):
    """Clients do not notice this fault by themselves: the body ends normally, without finish_reason and [DONE]."""
    body = chat_body("[[offline tokens=9 end=2]]", stream=True)
    status, _, text = send(port, "POST", "/v1/chat/completions", body)

    assert status == 200
    assert text.count("data: ") == 3
    assert "[DONE]" not in text
    assert '"finish_reason":"' not in text


@pytest.mark.parametrize(("kind", "content_type"), [(1, "application/json"), (2, "application/json"), (3, "text/html")])
def test_garbage_is_a_200_without_an_answer(port, kind, content_type):
    """The status alone must not convince a client: the body has no answer, streamed or not."""
    body = chat_body(f"[[offline garbage={kind}]]")
    status, headers, text = send(port, "POST", "/v1/chat/completions", body)
    streamed = send(port, "POST", "/v1/chat/completions", {**body, "stream": True})

    assert (status, headers.get_content_type(), streamed[0]) == (200, content_type, 200)
    assert '"message"' not in text
    assert '"delta"' not in streamed[2]


def test_tokens_are_timed_by_delay_and_interval(client):
    """`delay` passes before the first token, and `interval` between any two."""
    started_at = time.monotonic()
    times = [
        time.monotonic() - started_at
        for chunk in ask(client, "[[offline tokens=5 delay=0.2 interval=0.05]]", stream=True)
        if chunk.choices[0].delta.content
    ]

    assert times[0] >= 0.2
    assert times[-1] - times[0] >= 0.15
    assert times[-1] < 2


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", chat_body("[[offline delay=60 key=KEY]]")),
        ("/v1/chat/completions", chat_body("[[offline tokens=3 interval=30 key=KEY]]")),
        ("/v1/chat/completions", chat_body("[[offline tokens=3 interval=30 key=KEY]]", stream=True)),
        ("/v1/chat/completions", chat_body("[[offline stall=2 key=KEY]]", stream=True)),
        ("/v1/chat/completions", chat_body("[[offline stall=0 key=KEY]]")),
        ("/v1/embeddings", {"model": "m", "input": "[[offline delay=60 key=KEY]]"}),
    ],
)
def test_a_disconnect_is_noticed_within_a_second(port, key, path, body):
    """In every kind of wait, a disconnect of the client ends the call and is counted."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    data = json.dumps(body).replace("KEY", key)
    connection.request("POST", path, data, {"Authorization": "Bearer x"})
    eventually(lambda: counts(port, key)["open"] == 1)
    disconnected_at = time.time()
    connection.close()

    final_counts = eventually(lambda: (now := counts(port, key))["closed_early"] == 1 and now)
    assert final_counts["open"] == 0
    assert -0.1 < final_counts["last_closed_early_at"] - disconnected_at < 1


def test_the_call_log_can_be_reset_and_keeps_only_the_latest_keys():
    """The log is bounded, and a call that was open at a reset is not counted."""
    log = CallLog(max_keys=2)
    with log.track("a"):
        log.reset()
    for key in ("a", "b", "a", "c"):
        with log.track(key):
            pass

    report = log.report()
    assert (report["total"], report["open"], list(report["by_key"])) == (4, 0, ["a", "c"])


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Origin": "http://localhost:3000"}, 403),
    ],
)
def test_a_page_in_a_browser_cannot_use_the_server(port, headers, status):
    """Neither a page of another site nor one under a rebound name can ask, read counts or reset them."""
    headers = {"Authorization": "Bearer x", **headers}
    answers = [
        send(port, "POST", "/v1/chat/completions", chat_body("a"), headers),
        send(port, "POST", "/offline/reset", None, headers),
        send(port, "POST", "/unknown", None, headers),
    ]
    if "Host" in headers:
        answers.append(send(port, "GET", "/offline/calls", None, headers))

    assert {code for code, _, _ in answers} == {status}
    assert {sent["X-Frame-Options"] for _, sent, _ in answers} == {"DENY"}


def test_the_counts_show_no_prompt(port, client):
    """Everyone on the machine can read the counts, so a prompt without a key is counted under its hash."""
    ask(client, "canary-51c0")

    assert "canary-51c0" not in send(port, "GET", "/offline/calls")[2]
    assert counts(port, default_key("canary-51c0"))["calls"] == 1


def test_many_streams_run_concurrently(port):
    """Three hundred streams of half a second overlap, and none loses a token."""
    body = chat_body("[[offline tokens=10 interval=0.05 key=many]]", stream=True)

    async def read_stream(session):
        async with session.post(f"http://127.0.0.1:{port}/v1/chat/completions", json=body) as response:
            return (await response.text()).count('"content":"')

    async def read_all():
        headers = {"Authorization": "Bearer x"}
        async with aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=0)) as session:
            return await asyncio.gather(*[read_stream(session) for _ in range(300)])

    started_at = time.monotonic()
    assert asyncio.run(read_all()) == [11] * 300
    assert time.monotonic() - started_at < 10
    assert counts(port, "many")["closed_early"] == 0


def test_a_port_in_use_is_reported_in_one_line():
    """There is no traceback: the line names the port and the remedy. The port comes from the settings."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        number = listener.getsockname()[1]
        completed = subprocess.run(
            COMMAND,
            env={"CHATQUEUE_OFFLINE_MODEL_PORT": str(number)},
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )

    assert completed.returncode == 1
    assert completed.stdout == ""
    assert completed.stderr.count("\n") == 1
    assert f"port {number} on 127.0.0.1 is in use" in completed.stderr
    assert "--port" in completed.stderr


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_server_stops_immediately_and_never_prints_a_prompt(number):
    """A signal cuts open streams and ends the process with exit code 0; no request appears in its output."""
    marker = "PRIVATE-PROMPT"
    with running([*COMMAND, "--port", str(free_port())], ready=LISTENING) as process:
        port = port_of(process)
        send_privately(port, marker)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        body = json.dumps(chat_body(f"{marker} [[offline stall=1]]", stream=True))
        connection.request("POST", "/v1/chat/completions", body, {"Authorization": "Bearer x"})
        response = connection.getresponse()
        started_at = time.monotonic()
        process.send(number)

        assert process.wait(5) == 0
        assert time.monotonic() - started_at < 2
        with pytest.raises(http.client.IncompleteRead):
            response.read()
        connection.close()
        assert process.output.startswith(f"{LISTENING}http://127.0.0.1:{port}/v1\n")
        assert marker not in process.output


def send_privately(port, marker):
    """Send requests that servers tend to log: valid, unreadable, rejected, broken, and not HTTP at all."""
    for prompt in (
        marker,
        f"[[offline {marker}=1]]",
        f"{marker} [[offline garbage=1]]",
        f"{marker} [[offline cut=1]]",
    ):
        try:
            send(port, "POST", "/v1/chat/completions", chat_body(prompt))
        except http.client.RemoteDisconnected:
            assert "cut" in prompt
    send(port, "POST", "/v1/chat/completions", f'{{"model": {marker}'.encode())
    send(port, "GET", f"/v1/{marker}")
    with socket.create_connection(("127.0.0.1", port), timeout=5) as raw:
        raw.sendall(f"GET /health HTTP/1.1\r\nHost: x\r\n{marker} is no header\r\n\r\n".encode())
        while raw.recv(4096):
            pass


def dot(left, right):
    return sum(a * b for a, b in zip(left, right, strict=True))
