"""/v1 without a worker: lifetimes of stored data, the objects that are returned, and rejected calls."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from jobs import queries
from jobs.kinds import write_request
from jobs.kinds.chat import ChatAnswer
from jobs.kinds.completion import CompletionAnswer
from jobs.kinds.embeddings import EmbeddingsAnswer
from jobs.kinds.response import ResponseAnswer
from jobs.kinds.text_completion import TextCompletionAnswer
from jobs.requests import StreamOptions
from jobs.results import Usage
from jobs.states import State
from jobs.storage import keys, transitions
from jobs.vector_encoding import pack
from tests.api.streamed import events
from tests.support.waiting import until

USAGE = Usage(input_tokens=3, output_tokens=2, total_tokens=5)
ANSWER = ResponseAnswer(text="an answer", model="m", finish_reason="stop", usage=USAGE)
TEXT_ANSWER = TextCompletionAnswer(text="a", model="m", finish_reason="stop", usage=USAGE)
COMPLETION = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture
def ttl(redis_client_of_api):
    return redis_client_of_api.ttl


def test_the_events_of_a_response_live_as_long_as_its_answer(create_response, fake_worker, api_client, ttl):
    """Their numbers exist in the log alone, so a reader can resume for as long as there is an answer."""
    response_id = create_response().json["id"]
    fake_worker.complete(response_id, ANSWER)

    assert ttl(keys.events(response_id)) == ttl(keys.result(response_id)) > 80_000
    all_events = events(api_client.get(f"/v1/responses/{response_id}?stream=true").text)
    assert all_events[-1]["response"]["output"][0]["content"][0]["text"] == "an answer"


def test_an_unstored_response_expires_within_minutes(create_response, fake_worker, api_client, ttl):
    """`store: false` shortens the lifetime of everything the job has stored."""
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(create_response, background=False, store=False)
        job_id = until(fake_worker.next_queued)
        fake_worker.complete(job_id, ANSWER)
    assert waiting.result().status_code in (200, 504)

    for key in (keys.job(job_id), keys.request(job_id), keys.events(job_id), keys.result(job_id)):
        assert 0 < ttl(key) <= 300


def test_a_wait_that_times_out_is_an_error_the_client_retries(make_api, api_redis_port, api_services):
    """The 504 makes an openai client repeat its request and wait for the same job."""
    client = make_api(api_redis_port, client_wait_seconds=0.1).test_client()
    first = client.post("/v1/chat/completions", json=COMPLETION)
    again = client.post("/v1/chat/completions", json=COMPLETION, headers={"x-stainless-retry-count": "1"})

    assert (first.status_code, first.json["error"]["code"]) == (504, "still_running")
    assert first.json["detail"] == again.json["detail"]
    assert "x-should-retry" not in first.headers


def test_an_expired_previous_response_is_reported(create_response, api_client, fake_worker):
    """The error has the code that OpenAI uses for an unknown previous response."""
    first = create_response().json["id"]
    fake_worker.complete(first, ANSWER)
    second = create_response(previous_response_id=first)
    api_client.delete(f"/v1/responses/{first}")
    third = create_response(previous_response_id=first)

    assert second.status_code == 200
    assert (third.status_code, third.json["error"]["code"], third.json["error"]["param"]) == (
        400,
        "previous_response_not_found",
        "previous_response_id",
    )


def test_unreadable_reasoning_is_not_sent_again(create_response, api_client, fake_worker):
    """Neither are the ids of items, which a provider that stores nothing does not know."""
    call = {
        "id": "fc_1",
        "type": "function_call",
        "call_id": "c",
        "name": "f",
        "arguments": "{}",
        "status": "completed",
    }
    output = [
        {"id": "rs_1", "type": "reasoning", "summary": []},
        {"id": "rs_2", "type": "reasoning", "summary": [], "encrypted_content": "x"},
        {"id": "rs_3", "type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "so"}]},
        call,
    ]
    first = create_response().json["id"]
    fake_worker.complete(first, ANSWER.model_copy(update={"body": {"output": output, "usage": None}}))
    second = create_response(previous_response_id=first, input="and?").json["id"]
    items = api_client.get(f"/v1/responses/{second}/input_items?order=asc").json["data"]

    assert [item.get("type") for item in items] == ["message", "reasoning", "reasoning", "function_call", "message"]
    assert items[1]["encrypted_content"] == "x"
    assert items[2]["content"][0]["text"] == "so"
    assert items[3]["id"] != "fc_1"


def test_deleting_the_job_ends_its_stream_with_an_error(create_response, api_app, api_client, api_services):
    """The client must not take the stream for a complete one."""
    response_id = create_response().json["id"]
    with ThreadPoolExecutor() as pool:
        reader = pool.submit(lambda: api_app.test_client().get(f"/v1/responses/{response_id}?stream=true").text)
        channel = keys.changed_channel(response_id)
        until(lambda: api_services.store._client.pubsub_numsub(channel)[0][1])
        api_client.delete(f"/v1/responses/{response_id}")
        received = events(reader.result(30))

    assert received[-1]["type"] in ("error", "response.cancelled")
    assert [event["sequence_number"] for event in received] == list(range(len(received)))


def test_a_cancelled_response_keeps_its_finished_calls(create_response, api_client, fake_worker):
    """Every way to fetch the response returns the items that its stream contained."""
    response_id = create_response().json["id"]
    call = {"id": "fc_1", "type": "function_call", "call_id": "c1", "name": "f", "status": "in_progress"}
    done = call | {"arguments": "{}", "status": "completed"}
    finished = [
        {"type": "response.output_item.added", "output_index": 0, "item": call | {"arguments": ""}},
        {"type": "response.output_item.done", "output_index": 0, "item": done},
    ]
    lease = fake_worker.claim(response_id)
    lines = (*(transitions.upstream_event(json.dumps(event)) for event in finished), transitions.delta_event("so far"))
    fake_worker.store.run(transitions.append(lease, transitions.PendingEvents(lease.log_length, lines), USAGE))
    fake_worker.cancel(response_id)
    response = api_client.get(f"/v1/responses/{response_id}").json

    assert response["output"][0] == done
    assert response["output"][1]["content"][0]["text"] == "so far"
    assert api_client.post(f"/v1/responses/{response_id}/cancel").json == response
    assert events(api_client.get(f"/v1/responses/{response_id}?stream=true").text)[-1]["response"] == response


def test_a_native_chat_has_events_after_its_log_has_expired(api_client, submit_chat, fake_worker, api_services):
    """The events are rebuilt from the answer."""
    job_id = submit_chat("hello")
    fake_worker.complete(job_id, ChatAnswer(text="an answer", model="m", finish_reason="stop", usage=USAGE))
    api_services.store._client.delete(keys.events(job_id))
    received = events(api_client.get(f"/v1/responses/{job_id}?stream=true").text)

    assert received[-1]["type"] == "response.completed"
    assert received[-1]["response"] == api_client.get(f"/v1/responses/{job_id}").json
    added = next(event for event in received if event["type"] == "response.output_item.added")
    assert added["item"]["id"] == received[-1]["response"]["output"][0]["id"]


def test_an_embeddings_job_is_not_a_response(api_client, fake_worker, submit_chat):
    """Its id is a 404 under /v1/responses."""
    task = api_client.post("/api/v1/tasks", json={"kind": "embeddings", "input": ["a"]}).json["task_id"]
    fake_worker.complete(task, EmbeddingsAnswer(vectors=(pack([1.0]),), model="e", usage=None))

    assert api_client.get(f"/v1/responses/{task}").status_code == 404


def test_native_embeddings_have_the_requested_format(api_client, fake_worker):
    """Vectors are numbers or base64, as requested."""
    for encoding_format, vectors in (("float", [[0.5, -1.0]]), ("base64", [pack([0.5, -1.0])])):
        body = {"kind": "embeddings", "input": ["a", [1, 2]], "encoding_format": encoding_format}
        task = api_client.post("/api/v1/tasks", json=body).json["task_id"]
        answer = EmbeddingsAnswer(vectors=(pack([0.5, -1.0]),), encoding_format=encoding_format, model="e", usage=None)
        fake_worker.complete(task, answer)
        assert api_client.get(f"/api/v1/tasks/{task}/result").json["result"]["vectors"] == vectors


def test_models_are_those_of_the_settings_before_the_first_list(api_client, api_services):
    """No worker has read the provider's list yet."""
    settings = api_services.settings
    listed = api_client.get("/v1/models").json

    assert [model["id"] for model in listed["data"]] == [settings.chat_model, settings.embedding_model]


def test_an_outage_of_redis_is_503(make_api, silent_port):
    """The error member has the stable code of an outage."""
    client = make_api(silent_port, redis_timeout_seconds=0.2).test_client()
    refused = client.post("/v1/responses", json={"input": "hi"})

    assert (refused.status_code, refused.json["error"]["code"]) == (503, "store_unavailable")


def test_a_retry_of_a_response_is_a_response(api_client, create_response, fake_worker):
    """The new job can be fetched under /v1/responses."""
    failed = create_response().json["id"]
    fake_worker.fail(failed)
    again = api_client.post(f"/api/v1/tasks/{failed}/retry").json["task_id"]
    fake_worker.complete(again, ANSWER)

    assert again.startswith("resp_")
    assert api_client.get(f"/v1/responses/{again}").json["status"] == State.COMPLETED


@pytest.mark.parametrize(
    ("path", "body", "answer"),
    [
        ("/v1/chat/completions", COMPLETION, CompletionAnswer(text="a", model="m", finish_reason="stop", usage=USAGE)),
        ("/v1/completions", {"prompt": "hi", "model": "m"}, TEXT_ANSWER),
        ("/v1/responses", {"input": "hi", "model": "m"}, ANSWER),
        (
            "/v1/embeddings",
            {"input": "hi", "model": "m"},
            EmbeddingsAnswer(vectors=(pack([1]),), model="m", usage=USAGE),
        ),
    ],
)
def test_an_answer_names_its_provider(api_client, fake_worker, path, body, answer):
    """With several providers, a caller can tell which one has answered."""
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(api_client.post, path, json=body)
        fake_worker.complete(until(fake_worker.next_queued), answer)

    assert waiting.result().status_code == 200
    assert waiting.result().headers["x-chatqueue-provider"] == "main"


@pytest.mark.parametrize(
    ("options", "own", "forwarded"),
    [
        (None, None, None),
        ({"include_usage": True}, None, {"include_usage": True}),
        ({"include_arguments": True}, StreamOptions(include_arguments=True), None),
        ({"include_restarts": True, "x": 1}, StreamOptions(include_restarts=True), {"x": 1}),
        ({"include_restarts": False}, StreamOptions(), None),
    ],
    ids=str,
)
def test_our_stream_options_do_not_reach_the_provider(api_client, api_services, options, own, forwarded):
    """They are stored beside the body, and an older worker may ignore them. Without them nothing is stored."""
    body = {"input": "hi", "background": True} | ({"stream_options": options} if options else {})
    job_id = api_client.post("/v1/responses", json=body).json["id"]
    task = api_services.store.run(queries.request(job_id))
    stored = write_request(task)

    assert (task.stream_options, task.body.get("stream_options")) == (own, forwarded)
    assert ("ignorable_fields" in stored) == (own is not None)
