"""Streams of /v1 that fail: each ends with an error that the client notices."""

from concurrent.futures import ThreadPoolExecutor, wait

import pytest

from api.streaming import engine
from api.streaming.encoder import ServerShutdown
from jobs.kinds.response import ResponseAnswer
from jobs.results import JobError, Usage
from jobs.storage import keys, transitions
from tests.api.streamed import events
from tests.support.waiting import until

ESTIMATE = Usage.estimate(input_chars=12, deltas=2)
ANSWER = ResponseAnswer(text="an answer", model="theirs", finish_reason="stop", usage=ESTIMATE)
MESSAGES = [{"role": "user", "content": "hi"}]
CALLS = [("/v1/responses", {"input": "hi"}), ("/v1/chat/completions", {"messages": MESSAGES})]
CANARY = "canary-9d02"
REFUSED = JobError(code="provider_rejected_request", message="the provider answered 400")


@pytest.fixture
def start_stream(api_app):
    """Reads a streamed call to its end while the test acts as the worker."""
    with ThreadPoolExecutor() as pool:

        def read(path, body, buffered=True, key=None):
            client, request_body = api_app.test_client(), {"model": "ours", "stream": True} | body
            headers = {"Idempotency-Key": key} if key else {}
            return pool.submit(lambda: client.post(path, json=request_body, buffered=buffered, headers=headers))

        yield read


def write(fake_worker, lease, *lines):
    assert fake_worker.store.run(
        transitions.append(lease, transitions.PendingEvents(lease.log_length, lines), ESTIMATE)
    )


@pytest.mark.parametrize(("path", "body"), CALLS)
def test_a_failure_before_any_output_has_its_own_status(start_stream, fake_worker, path, body):
    """The client chooses its exception class by the status, as it does without a stream."""
    call = start_stream(path, body)
    lease = fake_worker.claim(until(fake_worker.next_queued))
    assert fake_worker.store.run(transitions.fail(lease, REFUSED, None, fake_worker.settings))
    refused = call.result(30)

    assert (refused.status_code, refused.json["error"]["code"]) == (400, "provider_rejected_request")
    assert refused.headers["x-should-retry"] == "false"


@pytest.mark.parametrize(("path", "body"), CALLS)
def test_a_failure_after_the_first_output_ends_the_stream_with_an_error(start_stream, fake_worker, path, body):
    """The status 200 has been sent, so the error is the last event."""
    call = start_stream(path, body)
    lease = fake_worker.claim(until(fake_worker.next_queued))
    write(fake_worker, lease, transitions.delta_event("so far"))
    assert fake_worker.store.run(transitions.fail(lease, REFUSED, None, fake_worker.settings))
    received = call.result(30)

    assert received.status_code == 200
    assert "so far" in received.text
    last = events(received.text)[-1]
    assert last.get("type") == "response.failed" or last["error"]["code"] == "provider_rejected_request"


def test_a_background_stream_begins_immediately(start_stream, fake_worker):
    """Only foreground streams are held back until there is output."""
    call = start_stream("/v1/responses", {"input": "hi", "background": True})
    fake_worker.fail(until(fake_worker.next_queued))

    assert [event["type"] for event in events(call.result(30).text)][-1] == "response.failed"


def test_a_response_begins_before_its_first_output(make_api, api_redis_port):
    """The client gets the id although the model is still silent, and never sees a foreground response as queued."""
    client = make_api(api_redis_port, response_hold_seconds=0.01).test_client()
    started = client.post("/v1/responses", json={"input": "hi", "stream": True}, buffered=False)
    first = events(next(started.iter_encoded()).decode())
    started.close()

    assert [event["type"] for event in first] == ["response.created", "response.in_progress"]
    assert {event["response"]["status"] for event in first} == {"in_progress"}


ALWAYS_FILLED = {
    "temperature": 1.0,
    "top_p": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "top_logprobs": 0,
    "service_tier": "default",
    "reasoning": {"effort": None, "summary": None},
    "text": {"format": {"type": "text"}},
    "max_tool_calls": None,
    "safety_identifier": None,
    "prompt_cache_key": None,
    "user": None,
}


def test_a_response_has_every_field_that_openai_fills(api_client, fake_worker):
    """A provider of chat completions sends none of them, and a provider of responses may send null."""
    tool = {"type": "function", "name": "f"}
    body = {"input": "hi", "background": True, "tools": [tool], "temperature": None, "text": {"verbosity": "low"}}
    response_id = api_client.post("/v1/responses", json=body).json["id"]
    reported = {"output": [], "top_p": None, "reasoning": None, "tools": None, "service_tier": "flex"}
    fake_worker.complete(response_id, ANSWER.model_copy(update={"body": reported}))
    response = api_client.get(f"/v1/responses/{response_id}").json

    expected = ALWAYS_FILLED | {"service_tier": "flex", "text": {"format": {"type": "text"}, "verbosity": "low"}}
    assert {name: response[name] for name in expected} == expected
    assert response["tools"] == [{"description": None, "parameters": None, "strict": None, **tool}]


def test_a_response_echoes_what_was_requested(api_client):
    """Also the parameters that only some models take."""
    asked = {"temperature": 0, "top_p": 0.5, "top_logprobs": 3, "presence_penalty": 1, "prompt_cache_retention": "24h"}
    response = api_client.post("/v1/responses", json={"input": "hi", "background": True, **asked}).json

    assert {name: response[name] for name in asked} == asked


DEEP = 100_000  # objects in one another: more than any parser of JSON accepts
MALFORMED = [
    '{"type":"response.output_item.added","output_index":0}',
    '{"type":"response.new","output_index":"0"}',
    '{"type":"response.new","deep":' + '{"a":' * DEEP + "1" + "}" * DEEP + "}",
    '{"choices":[{"index":0,"delta":' + '{"a":' * DEEP + f'"{CANARY}"' + "}" * DEEP + "}]}",
    f'{{"choices":["{CANARY}"]',
    f'{{"choices":["{CANARY}"]}}',
]


@pytest.mark.parametrize("malformed", MALFORMED)
def test_a_malformed_event_ends_the_stream_with_an_error(start_stream, fake_worker, caplog, malformed):
    """The error is logged without any content of the event."""
    call = start_stream(*CALLS["choices" in malformed])
    job_id = until(fake_worker.next_queued)
    lease = fake_worker.claim(job_id)
    write(fake_worker, lease, transitions.delta_event("so far"), transitions.upstream_event(malformed))
    fake_worker.cancel(job_id)
    received = call.result(30)

    last = events(received.text)[-1] if received.status_code == 200 else received.json
    assert last.get("error", last)["code"] == "internal_error"
    assert [record.getMessage().split()[0] for record in caplog.records if record.levelname == "ERROR"] in (
        ["stream_failed"],
        ["request_failed"],  # before the first byte
    )
    assert CANARY not in caplog.text


def test_a_stream_has_the_requested_model_until_its_end(api_client, fake_worker):
    """This holds live and in a replay, when the record already has the provider's model."""
    response_id = api_client.post("/v1/responses", json={"model": "ours", "input": "hi", "background": True}).json["id"]
    fake_worker.complete(response_id, ANSWER)
    received = events(api_client.get(f"/v1/responses/{response_id}?stream=true").text)

    assert [received[0]["response"]["model"], received[-1]["response"]["model"]] == ["ours", "theirs"]


def test_uncounted_tokens_are_marked_as_an_estimate(api_client, fake_worker, start_stream):
    """A client can distinguish estimated usage from counted usage."""
    response_id = api_client.post("/v1/responses", json={"input": "hi", "background": True}).json["id"]
    fake_worker.complete(response_id, ANSWER)
    call = start_stream("/v1/chat/completions", {"messages": MESSAGES, "stream_options": {"include_usage": True}})
    fake_worker.complete(until(fake_worker.next_queued), ANSWER)

    assert api_client.get(f"/v1/responses/{response_id}").json["usage"]["estimated"] is True
    assert events(call.result(30).text)[-1]["usage"]["estimated"] is True


@pytest.mark.parametrize(("path", "body"), CALLS)
def test_a_shutdown_never_ends_a_stream_as_if_it_were_complete(start_stream, fake_worker, api_services, path, body):
    """A completion ends with an error. A response is cut, because the client resumes it after the last number."""
    call = start_stream(path, body, buffered=False)
    write(fake_worker, fake_worker.claim(until(fake_worker.next_queued)), transitions.delta_event("so far"))
    received = call.result(30).iter_encoded()
    assert b"so far" in next(received)
    api_services.listener.close()

    if path == "/v1/responses":
        with pytest.raises(ServerShutdown):
            list(received)
    else:
        assert events(b"".join(received).decode())[-1]["error"]["code"] == "server_stopped"


@pytest.mark.parametrize(("path", "body"), CALLS)
def test_a_shutdown_before_any_output_is_503(start_stream, fake_worker, api_services, path, body):
    """The client resends its request to another server."""
    call = start_stream(path, body)
    until(fake_worker.next_queued)
    api_services.listener.close()
    refused = call.result(30)

    assert (refused.status_code, refused.json["error"]["code"]) == (503, "server_stopped")
    assert refused.headers["Retry-After"] == "1"


@pytest.mark.parametrize(("path", "body"), CALLS)
def test_an_answer_that_is_there_at_the_shutdown_is_sent(start_stream, fake_worker, api_services, path, body):
    """The job of an idempotency key may be final before the request arrives at a server that stops."""
    call = start_stream(path, body, key="a-key")
    fake_worker.complete(until(fake_worker.next_queued), ANSWER)
    call.result(30)
    api_services.listener.close()
    again = start_stream(path, body, key="a-key").result(30)

    assert again.status_code == 200
    assert "an answer" in again.text


def test_a_held_completion_begins_with_a_comment(start_stream, fake_worker, monkeypatch):
    """Without the comment, the stream could be silent for twice the permitted time."""
    monkeypatch.setattr(engine, "MAX_HOLD_SECONDS", 0.01)
    call = start_stream("/v1/chat/completions", {"messages": MESSAGES}, buffered=False)
    job_id = until(fake_worker.next_queued)
    started, _ = wait([call], engine.KEEPALIVE_SECONDS * 2 / 3)
    fake_worker.complete(job_id)
    received = b"".join(call.result(30).iter_encoded())

    assert started
    assert received.startswith(b": keepalive\n\n")
    assert received.endswith(b"data: [DONE]\n\n")


def test_the_log_of_a_completion_lives_as_long_as_its_answer(api_client, fake_worker, api_services):
    """Its streamed tool calls are only in the log, and the same idempotency key must replay them."""
    with ThreadPoolExecutor() as pool:
        request_body = {"json": {"messages": MESSAGES, "stream": True}, "headers": {"Idempotency-Key": "k"}}
        call = pool.submit(lambda: api_client.post("/v1/chat/completions", **request_body).text)
        job_id = until(fake_worker.next_queued)
        fake_worker.complete(job_id)
        call.result(30)
    ttl = api_services.store._client.ttl

    assert ttl(keys.events(job_id)) == ttl(keys.result(job_id)) > 80_000
