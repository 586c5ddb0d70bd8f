"""A chat's events over HTTP can be read from any point, during and after the run, by any number of readers."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from api.streaming import engine
from jobs.kinds.chat import ChatAnswer
from jobs.results import JobError
from jobs.states import State
from jobs.storage import keys, transitions
from tests.support.waiting import until

WORKER_LOST = JobError(code="worker_lost", message="the worker died or was cut off during the attempt")


def read(text):
    """The messages as an EventSource parses them: (id, event, data)."""
    messages = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith((":", "retry:")))
        if "data" in fields:
            messages.append((fields.get("id"), fields["event"], json.loads(fields["data"])))
    return messages


def numbered(text):
    return [message for message in read(text) if message[0] is not None]


def final_text(messages):
    """The final text of a reader that clears its text when an attempt begins."""
    text = ""
    for _, event, data in messages:
        text = "" if event == "in_progress" else text + data.get("text", "")
    return text


@pytest.fixture
def path(submit_chat):
    return f"/api/v1/chat/jobs/{submit_chat()}/events"


@pytest.fixture
def job_id(path):
    return path.split("/")[-2]


@pytest.fixture
def write_answer(fake_worker):
    """Writes an attempt with two deltas and the end."""

    def write(job_id):
        lease = fake_worker.claim(job_id)
        fake_worker.write(lease, lease.log_length, "an ")
        fake_worker.write(lease, lease.log_length + 1, "answer")
        answer = ChatAnswer(text="an answer", model="m", finish_reason="stop", usage=None)
        assert fake_worker.store.run(transitions.finish(lease, answer, State.COMPLETED, fake_worker.settings))

    return write


def test_a_stream_has_all_events_of_a_job(api_client, job_id, path, write_answer):
    """It begins with the status and ends with the final event."""
    write_answer(job_id)

    response = api_client.get(path)

    assert (response.status_code, response.content_type) == (200, "text/event-stream")
    assert response.headers["Cache-Control"] == "no-store"
    assert [(number, event) for number, event, _ in read(response.text)] == [
        (None, "status"),
        ("0", "in_progress"),
        ("1", "delta"),
        ("2", "delta"),
        ("3", "completed"),
    ]
    assert read(response.text)[-1][2] == {"sequence_number": 3, "type": "completed", "finish_reason": "stop"}


def test_a_client_that_has_all_events_gets_204(api_client, path, job_id, write_answer):
    """204 stops an EventSource from reconnecting."""
    write_answer(job_id)

    for after in (3, 4, 1000):
        response = api_client.get(path, headers={"Last-Event-ID": str(after)})
        assert (response.status_code, response.data) == (204, b"")


@pytest.mark.parametrize("after", range(3))
@pytest.mark.parametrize("how", ["query", "header", "both"])
def test_a_resumed_stream_continues_where_it_was_cut(api_client, job_id, path, write_answer, after, how):
    """The header takes precedence: it is newer when an EventSource reconnects."""
    write_answer(job_id)
    all_events = numbered(api_client.get(path).text)
    query = {"query": f"?starting_after={after}", "both": "?starting_after=0"}.get(how, "")
    headers = {} if how == "query" else {"Last-Event-ID": str(after)}

    rest = numbered(api_client.get(path + query, headers=headers).text)

    assert all_events[: after + 1] + rest == all_events


def test_live_readers_on_two_processes_agree(make_api, api_app, api_redis_port, job_id, path, write_answer):
    """They read while events are written, and each receives every event once."""
    clients = [app.test_client() for app in (api_app, make_api(api_redis_port)) for _ in range(3)]
    with ThreadPoolExecutor(len(clients)) as pool:
        readers = [pool.submit(lambda client: client.get(path).text, client) for client in clients]
        write_answer(job_id)
        received = [numbered(reader.result(10)) for reader in readers]

    assert received == [numbered(clients[0].get(path).text)] * len(clients)
    assert final_text(received[0]) == "an answer"


def test_an_expired_log_still_yields_the_whole_text(api_client, api_services, job_id, path, write_answer):
    """The text restarts and arrives in one event, whose number continues the sequence."""
    write_answer(job_id)
    before = numbered(api_client.get(path).text)
    with api_services.store._client.pipeline() as pipeline:
        pipeline.delete(keys.events(job_id)).execute()

    for after in range(-1, len(before) - 1):
        query = "" if after < 0 else f"?starting_after={after}"
        rest = [message for message in read(api_client.get(path + query).text) if message[1] != "status"]
        assert final_text(before[: after + 1] + rest) == "an answer"
        assert (before[: after + 1] + rest)[-1] == before[-1]
        numbers = [int(number) for number, _, _ in before[: after + 1] + rest if number]
        assert numbers == sorted(set(numbers))


def test_two_attempts_are_never_merged(api_client, fake_worker, job_id, path):
    """A lost attempt is closed as incomplete before the next one begins."""
    lease = fake_worker.claim(job_id)
    fake_worker.write(lease, lease.log_length, "half an ")
    assert fake_worker.store.run(transitions.release(lease, WORKER_LOST, 0, fake_worker.message_template)) is not None
    fake_worker.complete(job_id)

    received = numbered(api_client.get(path).text)

    assert [event for _, event, _ in received] == [
        "in_progress",
        "delta",
        "attempt_incomplete",
        "in_progress",
        "completed",
    ]
    assert received[2][2]["error"] == WORKER_LOST.model_dump(exclude_none=True)
    assert (received[2][2]["attempt"], received[3][2]["attempt"]) == (1, 2)


@pytest.mark.parametrize("end", ["cancel", "fail", "delete"])
def test_every_stream_ends_with_a_final_event(api_client, api_app, fake_worker, job_id, path, end):
    """A failure, a cancellation and a deletion each end an open stream."""
    with ThreadPoolExecutor() as pool:
        reader = pool.submit(lambda: api_app.test_client().get(path).text)
        if end == "fail":
            fake_worker.fail(job_id)
        elif end == "cancel":
            api_client.post(f"/api/v1/tasks/{job_id}/cancel")
        else:
            until(lambda: _followers(fake_worker, job_id))
            api_client.delete(f"/api/v1/tasks/{job_id}")
        received = read(reader.result(10))

    assert received[-1][1] == {"fail": "failed"}.get(end, "cancelled")


def _followers(fake_worker, job_id):
    channel = keys.changed_channel(job_id)
    return dict(fake_worker.store._client.pubsub_numsub(channel))[channel.encode()]


def test_a_queued_job_shows_its_changed_queue_position(api_client, api_app, fake_worker, submit_chat, monkeypatch):
    """The status has no id, so a reader does not resume from it."""
    monkeypatch.setattr(engine, "TICK_SECONDS", 0.05)
    first, second = submit_chat(), submit_chat()
    with ThreadPoolExecutor() as pool:
        reader = pool.submit(lambda: api_app.test_client().get(f"/api/v1/chat/jobs/{second}/events").text)
        until(lambda: _followers(fake_worker, second))
        fake_worker.complete(first)
        threading.Timer(0.5, fake_worker.complete, [second]).start()
        received = read(reader.result(10))

    places = [data["queue_position"] for number, event, data in received if event == "status" and number is None]
    assert places == [1, 0]


def test_a_silent_stream_is_kept_alive(api_app, fake_worker, job_id, path, monkeypatch):
    """Comments keep proxies from closing the connection."""
    monkeypatch.setattr(engine, "TICK_SECONDS", 0.05)
    monkeypatch.setattr(engine, "KEEPALIVE_SECONDS", 0.1)
    with ThreadPoolExecutor() as pool:
        reader = pool.submit(lambda: api_app.test_client().get(path).text)
        threading.Timer(0.6, fake_worker.complete, [job_id]).start()
        text = reader.result(10)

    assert text.count(": keepalive\n\n") >= 2
    assert read(text)[-1][1] == "completed"


@pytest.mark.parametrize("call", ["async", "sync"])
def test_a_submission_can_be_streamed(api_app, fake_worker, call):
    """The response is 200 with the events, and has the same Location as without a stream."""
    with ThreadPoolExecutor() as pool:
        reader = pool.submit(
            lambda: api_app.test_client().post(f"/api/v1/chat/{call}", json={"message": "hello", "stream": True})
        )
        job_id = until(fake_worker.next_queued)
        fake_worker.complete(job_id)
        response = reader.result(10)

    assert response.status_code == 200
    assert response.headers["Location"] == f"/api/v1/chat/jobs/{job_id}"
    assert read(response.text)[0][2]["job_id"] == job_id
    assert read(response.text)[-1][1] == "completed"


@pytest.mark.parametrize(
    ("query", "headers", "param"),
    [
        ("?starting_after=-1", {}, "starting_after"),
        ("?starting_after=x", {}, "starting_after"),
        ("?from=1", {}, "from"),
        ("", {"Last-Event-ID": "x"}, "Last-Event-ID"),
        ("", {"Last-Event-ID": "9" * 16}, "Last-Event-ID"),
    ],
)
def test_an_invalid_cursor_is_rejected(api_client, read_problem, path, query, headers, param):
    """The error names the parameter or header."""
    problem = read_problem(api_client.get(path + query, headers=headers), 422, "invalid_request")

    assert problem["error"]["param"] == param


def test_only_chats_have_a_stream(api_client, read_problem):
    """An embeddings job, an unknown id and a malformed id are all 404."""
    task = api_client.post("/api/v1/tasks", json={"kind": "embeddings", "input": ["a"]}).json["task_id"]

    for job_id in (task, "job_" + "0" * 32, "nonsense"):
        read_problem(api_client.get(f"/api/v1/chat/jobs/{job_id}/events"), 404, "job_not_found")
