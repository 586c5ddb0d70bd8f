"""A disconnect cancels the job or lets it continue, as requested; a shutdown of the server cancels nothing."""

import json
import signal
import socket
import time

import pytest

from jobs.states import State
from tests.streams.reading import event_types
from tests.support.offline_model import calls, directive, key
from tests.support.waiting import until

LONG = "tokens=1000 interval=0.02"
SHORT = "tokens=60 interval=0.02"
NOTICED_SECONDS = 3.0  # 2 are promised, with a check each second; the rest is for a busy machine


DEPLOYMENT = {"webs": 2, "workers": 1, "web_grace_seconds": "0.5"}


@pytest.fixture(scope="module", autouse=True)
def no_traceback(deployment):
    """A disconnect is not an error: no API process may log a traceback."""
    yield
    assert "Traceback" not in "".join(web.output for web in deployment.webs)


@pytest.fixture
def other_web(deployment):
    """The other API process, which is not stopped."""
    return deployment.webs[1]


@pytest.fixture
def running_job(deployment):
    """The id of the running job of that name."""

    def find(name):
        until(lambda: calls(deployment.model_url, name)["open"] == 1)
        return until(lambda: find_job_id(deployment, name))

    return find


def find_job_id(deployment, name):
    listed = deployment.webs[1].call("GET", "/api/v1/tasks?limit=20")[1]["tasks"]
    return next((task["task_id"] for task in listed if name in task["prompt_preview"]), None)


def written_tokens(deployment, job_id):
    usage = deployment.record(job_id).usage
    return usage.output_tokens if usage else 0


def final_state(deployment, job_id):
    until(lambda: deployment.record(job_id).state.is_final)
    return deployment.record(job_id).state


@pytest.mark.parametrize(
    ("call", "stream", "on_disconnect"), [("sync", False, None), ("sync", True, None), ("async", True, "cancel")]
)
def test_a_disconnect_cancels_the_job(deployment, web, running_job, name, call, stream, on_disconnect):
    """Within about two seconds, with the provider's call closed. This is the default of a sync chat."""
    body = {"message": directive(LONG, name), "stream": stream}
    client = web.post(call, body | ({"on_disconnect": on_disconnect} if on_disconnect else {}))
    job_id = running_job(name)
    until(lambda: written_tokens(deployment, job_id) >= 2)  # else there is no partial text to keep
    left_at = time.time()
    client.close()

    assert final_state(deployment, job_id) is State.CANCELLED
    until(lambda: calls(deployment.model_url, name)["closed_early"] == 1)
    assert calls(deployment.model_url, name)["last_closed_early_at"] - left_at < NOTICED_SECONDS
    assert web.chat(job_id)["answer"].startswith("w0 w1")


def test_a_stream_that_ends_for_a_half_closed_connection_is_no_complete_answer(deployment, web, name):
    """Such a client has ended its own side only, and still reads."""
    body = json.dumps({"model": "m", "stream": True, "messages": [{"role": "user", "content": directive(LONG, name)}]})
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n"
    with socket.create_connection(("127.0.0.1", web.port), timeout=30) as connection:
        connection.sendall(f"{head}Content-Type: application/json\r\nConnection: close\r\n\r\n{body}".encode())
        first = connection.recv(65_536)
        connection.shutdown(socket.SHUT_WR)
        answer = first + b"".join(iter(lambda: connection.recv(65_536), b""))

    assert b"client_disconnected" in answer
    assert b"[DONE]" not in answer
    until(lambda: calls(deployment.model_url, name)["closed_early"] == 1)


@pytest.mark.parametrize(
    ("call", "stream", "on_disconnect"),
    [("sync", False, "continue"), ("sync", True, "continue"), ("async", True, None)],
)
def test_a_job_can_continue_after_a_disconnect(deployment, web, running_job, name, call, stream, on_disconnect):
    """This is the default of an async chat."""
    body = {"message": directive(SHORT, name), "stream": stream}
    client = web.post(call, body | ({"on_disconnect": on_disconnect} if on_disconnect else {}))
    job_id = running_job(name)
    client.close()

    assert final_state(deployment, job_id) is State.COMPLETED
    assert calls(deployment.model_url, name)["closed_early"] == 0


def test_an_idempotency_key_keeps_the_job_running(deployment, web, running_job, name):
    """A sync chat whose connection breaks is not cancelled: the same key finds its answer."""
    body = {"message": directive(SHORT, name)}
    client = web.post("sync", body, **{"Idempotency-Key": name})
    job_id = running_job(name)
    client.close()

    again = web.post("sync", body, **{"Idempotency-Key": name})
    assert again.response().status == 200
    again.close()
    assert final_state(deployment, job_id) is State.COMPLETED
    assert calls(deployment.model_url, name)["closed_early"] == 0


def test_a_disconnect_of_a_repeated_submit_cancels_nothing(deployment, web, running_job, name):
    """The second client waits for the first one's job and cannot cancel it by disconnecting."""
    body = {"message": directive("tokens=200 interval=0.02", name)}
    first = web.post("sync", body, **{"Idempotency-Key": name})
    job_id = running_job(name)
    again = [web.post("sync", body | {"stream": stream}, **{"Idempotency-Key": name}) for stream in (False, True)]
    again[1].read_until(b"delta")
    for client in again:
        client.close()

    response = first.response()
    assert (response.status, final_state(deployment, job_id)) == (200, State.COMPLETED)
    assert calls(deployment.model_url, name)["calls"] == 1
    first.close()


def test_a_shutdown_cancels_nothing(deployment, web, other_web, running_job):
    """Streams end without a final event, and the jobs continue."""
    names = [key() for _ in range(3)]
    bodies = [{"message": directive("tokens=150 interval=0.02", name)} for name in names]
    waits = web.post("sync", bodies[0])
    follows = [
        web.post("sync", bodies[1] | {"stream": True}),
        web.post("async", bodies[2] | {"stream": True, "on_disconnect": "cancel"}),
    ]
    job_ids = [running_job(name) for name in names]
    for reader in follows:
        reader.read_until(b"delta")
    web.end(signal.SIGTERM)
    for reader in follows:
        reader.read_to_end()
    status = waits.response().status
    for reader in (waits, *follows):
        reader.close()

    assert status == 202
    assert [reader.ended for reader in follows] == ["cleanly"] * 2
    assert [event_types(reader.messages) for reader in follows] == [["in_progress"]] * 2
    assert [other_web.chat(job_id)["status"] for job_id in job_ids] == ["completed"] * 3
    assert [calls(deployment.model_url, name)["closed_early"] for name in names] == [0] * 3
    web.restart()
