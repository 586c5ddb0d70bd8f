"""Disconnects are detected on the connection, without consuming a byte or blocking."""

import socket
import struct
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from api.http.disconnect import ClientDisconnected, disconnect_check
from api.services import services_of
from api.streaming import engine
from jobs import queries
from jobs.states import State
from jobs.storage import keys
from tests.support.waiting import until

HELLO = {"message": "hello"}


@pytest.fixture
def ends():
    """Both ends of a TCP connection: the server's and the client's."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client_socket = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
    with server, client_socket:
        yield server, client_socket


@pytest.fixture
def server(ends):
    return ends[0]


@pytest.fixture
def client_socket(ends):
    return ends[1]


@pytest.fixture
def check(api_app, server):
    with api_app.test_request_context(environ_overrides={"gunicorn.socket": server}):
        return disconnect_check()


@pytest.fixture
def waiting_app(make_api, api_app, api_redis_port):
    """The app with a sync chat that waits 30 seconds."""
    return make_api(api_redis_port, sync_wait_seconds=30)


def is_disconnected(check):
    try:
        check()
    except ClientDisconnected:
        return True
    return False


def is_followed(fake_worker, job_id):
    channels = (keys.result(job_id), keys.changed_channel(job_id))
    return any(count for _, count in fake_worker.store._client.pubsub_numsub(*channels))


@pytest.mark.parametrize("timeout", [None, 5.0, 0.0])
def test_a_silent_client_is_connected(check, server, timeout):
    """The check does not block, and restores the timeout of the connection."""
    server.settimeout(timeout)
    started = time.monotonic()

    assert not is_disconnected(check)
    assert time.monotonic() - started < 1
    assert server.gettimeout() == timeout


def test_the_check_does_not_consume_a_further_request(check, server, client_socket):
    """A pipelined request stays in the socket for the server to read."""
    client_socket.sendall(b"GET /next")
    until(lambda: server.recv(1, socket.MSG_PEEK))

    assert not is_disconnected(check)
    assert server.recv(100) == b"GET /next"


def test_a_client_that_closes_has_disconnected(check, client_socket):
    """An orderly close is detected."""
    client_socket.close()

    until(lambda: is_disconnected(check))


def test_a_client_whose_connection_is_reset_has_disconnected(check, client_socket):
    """A reset is detected like an orderly close."""
    client_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client_socket.close()

    until(lambda: is_disconnected(check))


def test_a_connection_closed_by_the_server_is_disconnected(check, server):
    """The check must not fail on a closed socket."""
    server.close()

    assert is_disconnected(check)


def test_a_server_that_hides_the_connection_reports_no_disconnects(api_app):
    """Without gunicorn's socket the check never raises."""
    with api_app.test_request_context():
        check = disconnect_check()

    assert not is_disconnected(check)


@pytest.fixture
def disconnect(waiting_app, fake_worker, server, client_socket):
    """Posts a chat, closes the connection while it is queued or running, and returns the reply and the final state."""

    def disconnect(call, is_running=False, **body):
        def post():
            reply = waiting_app.test_client().post(
                f"/api/v1/chat/{call}", json=HELLO | body, environ_overrides={"gunicorn.socket": server}
            )
            return reply, reply.data

        with ThreadPoolExecutor() as pool:
            posted = pool.submit(post)
            job_id = until(fake_worker.next_queued)
            if is_running:
                fake_worker.write(lease := fake_worker.claim(job_id), lease.log_length, "half an ans")
            client_socket.close()
            if body.get("on_disconnect") == "continue":
                fake_worker.complete(job_id)
            return *posted.result(10), job_id

    return disconnect


@pytest.mark.parametrize("is_running", [False, True])
@pytest.mark.parametrize("body", [{"stream": False}, {"stream": True}])
def test_a_disconnect_cancels_a_sync_chat(waiting_app, disconnect, is_running, body, api_services):
    """The job is cancelled whether queued or running, and keeps its partial text."""
    reply, _, job_id = disconnect("sync", is_running, **body)

    chat = waiting_app.test_client().get(f"/api/v1/chat/jobs/{job_id}").json
    assert (chat["status"], chat["answer"]) == ("cancelled", "half an ans" if is_running else None)
    assert reply.status_code == (200 if body["stream"] else 499)


def test_a_disconnect_is_499(disconnect, read_problem):
    """The client is gone, so the code appears in logs only."""
    reply, _, _ = disconnect("sync")

    read_problem(reply, 499, "client_disconnected")


@pytest.mark.parametrize("stream", [False, True])
def test_a_sync_chat_can_continue_after_a_disconnect(waiting_app, disconnect, stream):
    """`on_disconnect: continue` keeps the job running."""
    _, _, job_id = disconnect("sync", on_disconnect="continue", stream=stream)

    assert waiting_app.test_client().get(f"/api/v1/chat/jobs/{job_id}").json["status"] == "completed"


def test_a_disconnected_reader_ends_only_its_own_stream(
    waiting_app, fake_worker, submit_chat, server, client_socket, monkeypatch
):
    """The stream's resources are released, and the job continues."""
    monkeypatch.setattr(engine, "TICK_SECONDS", 0.05)
    job_id = submit_chat()
    with ThreadPoolExecutor() as pool:
        path = f"/api/v1/chat/jobs/{job_id}/events"
        stream = pool.submit(
            lambda: waiting_app.test_client().get(path, environ_overrides={"gunicorn.socket": server}).text
        )
        until(lambda: is_followed(fake_worker, job_id))
        client_socket.close()
        text = stream.result(10)

    assert "event: status" in text
    assert "event: cancelled" not in text
    assert fake_worker.store.run(queries.record(job_id)).state is State.QUEUED


def test_a_disconnect_during_shutdown_cancels_nothing(waiting_app, fake_worker, server, client_socket, monkeypatch):
    """A client that reconnects to another server disconnects from this one, so its job must continue."""
    monkeypatch.setattr(engine, "DISCONNECT_CHECK_SECONDS", 60)
    with ThreadPoolExecutor() as pool:
        stream = pool.submit(
            lambda: (
                waiting_app.test_client()
                .post(
                    "/api/v1/chat/sync",
                    json=HELLO | {"stream": True},
                    environ_overrides={"gunicorn.socket": server},
                )
                .text
            )
        )
        job_id = until(fake_worker.next_queued)
        until(lambda: is_followed(fake_worker, job_id))
        client_socket.close()
        services_of(waiting_app).listener.close()
        stream.result(10)

    assert fake_worker.store.run(queries.record(job_id)).state is State.QUEUED


@pytest.mark.parametrize("value", ["stop", "", 1, True])
@pytest.mark.parametrize("call", ["sync", "async"])
def test_an_unknown_on_disconnect_value_is_rejected(api_client, read_problem, call, value):
    """Only `cancel` and `continue` are accepted."""
    problem = read_problem(
        api_client.post(f"/api/v1/chat/{call}", json=HELLO | {"on_disconnect": value}), 422, "invalid_request"
    )

    assert "on_disconnect" in problem["error"]["param"]
