"""A worker or a web process is killed in mid-stream, and the client's program is not affected."""

import signal
from concurrent.futures import ThreadPoolExecutor

import httpx2
import openai
import pytest

from tests.support.offline_model import calls, directive, key
from tests.support.processes import free_port, running
from tests.support.stack import GUNICORN
from tests.support.waiting import until

SIXTY = " ".join(f"w{number}" for number in range(60))
one_provider = pytest.mark.parametrize(
    "upstream_url", ["chat"], indirect=True, scope="module"
)  # it makes no difference
SLOW = "[[offline tokens=60 interval=0.05]]"


def test_the_stream_helper_survives_a_killed_worker(stack):
    """Another worker repeats the answer, which goes on in the same item, and the sequence numbers have no gap."""
    with (
        stack.worker() as victim,
        stack.worker() as other,
        stack.client() as client,
        client.responses.stream(model="m", input=SLOW, background=True) as stream,
    ):
        events = [next(stream) for _ in range(10)]
        _kill_worker_of(client, events[0].response.id, victim, other)
        events += list(stream)
        final = stream.get_final_response()

    added = [event.item.id for event in events if event.type == "response.output_item.added"]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    deltas = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert final.output_text == deltas == SIXTY
    assert [item.id for item in final.output] == added
    assert len(added) == 1


def _kill_worker_of(client, job_id, *workers):
    task = client.get(f"/../api/v1/tasks/{job_id}", cast_to=object)
    assert task["status"] == "in_progress"
    (owner,) = [worker for worker in workers if f"[{job_id}] received" in worker.output]
    owner.send(signal.SIGKILL)


def test_chat_and_text_streams_continue_after_a_killed_worker(stack):
    """The next attempt repeats the text, which must not be sent twice."""
    with stack.client() as client:
        with stack.worker() as victim:
            chat = client.chat.completions.create(model="m", messages=[{"role": "user", "content": SLOW}], stream=True)
            text = client.completions.create(model="m", prompt=SLOW, max_tokens=100, stream=True)
            chunks = {chat: [next(chat) for _ in range(5)], text: [next(text) for _ in range(5)]}
            victim.send(signal.SIGKILL)
        with stack.worker():
            for stream, seen in chunks.items():
                seen += list(stream)

    assert "".join(choice.delta.content or "" for chunk in chunks[chat] for choice in chunk.choices) == SIXTY
    assert "".join(choice.text for chunk in chunks[text] for choice in chunk.choices) == SIXTY


def test_a_stream_is_resumed_at_another_web_process(stack):
    """The first process is killed in mid-stream. The events before and after the cut equal those of an uncut stream."""
    port = free_port()
    with stack.client() as client, stack.worker():
        with running(GUNICORN, ready="Booting worker", env=stack.env | {"CHATQUEUE_WEB_PORT": str(port)}) as web:
            elsewhere = client.with_options(base_url=f"http://127.0.0.1:{port}/v1", max_retries=5)
            stream = elsewhere.responses.create(model="m", input=SLOW, background=True, stream=True)
            head = [next(stream) for _ in range(10)]
            web.stop()
            stream.close()
        response_id, last = head[0].response.id, head[-1].sequence_number
        rest = list(client.responses.retrieve(response_id, stream=True, starting_after=last))
        all_events = list(client.responses.retrieve(response_id, stream=True))

    assert [event.to_dict() for event in head + rest] == [event.to_dict() for event in all_events]
    assert rest[-1].response.output_text == SIXTY


def test_a_shutdown_never_cuts_a_stream_silently(stack):
    """On SIGTERM, as in every deploy, each client gets an error and can continue at another process."""
    port = free_port()
    request = {"model": "m", "messages": [{"role": "user", "content": SLOW}], "stream": True}
    with stack.client() as client, stack.worker():
        with running(GUNICORN, ready="Booting worker", env=stack.env | {"CHATQUEUE_WEB_PORT": str(port)}) as web:
            there = client.with_options(base_url=f"http://127.0.0.1:{port}/v1", max_retries=5)
            completion = there.chat.completions.create(**request)
            response = there.responses.create(model="m", input=SLOW, stream=True)
            completion_id, response_id = next(completion).id, next(response).response.id
            web.send(signal.SIGTERM)
            with pytest.raises(openai.APIError) as stopped:
                list(completion)
            with pytest.raises((openai.APIConnectionError, httpx2.TransportError)):
                list(response)
        ended = list(client.responses.retrieve(response_id, stream=True))[-1].response

        assert stopped.value.code == "server_stopped"
        assert ended.output_text == SIXTY
        until(lambda: client.chat.completions.retrieve(completion_id).choices[0].message.content == SIXTY)
        assert "Traceback" not in web.output


@one_provider
def test_streams_end_within_the_grace_period_of_a_stop(stack):
    """A deploy does not end a stream that can end in time."""
    port = free_port()
    env = stack.env | {"CHATQUEUE_WEB_PORT": str(port), "CHATQUEUE_WEB_GRACE_SECONDS": "60"}
    request = {"model": "m", "messages": [{"role": "user", "content": SLOW}], "stream": True}
    with stack.client() as client, stack.worker(), running(GUNICORN, ready="Booting worker", env=env) as web:
        there = client.with_options(base_url=f"http://127.0.0.1:{port}/v1", max_retries=5)
        completion = there.chat.completions.create(**request)
        response = there.responses.create(model="m", input=SLOW, stream=True)
        chunks, events = [next(completion)], [next(response)]
        web.send(signal.SIGTERM)
        chunks, events = chunks + list(completion), events + list(response)

        assert "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices) == SIXTY
        assert events[-1].response.output_text == SIXTY
        assert web.wait() == 0


@one_provider
def test_a_reload_of_the_web_processes_is_not_noticed_by_a_client_that_retries(stack):
    """A call that is unfinished at the end of the grace period gets 503, and its retry waits for the same job."""
    port, name = free_port(), key()
    env = stack.env | {"CHATQUEUE_WEB_PORT": str(port), "CHATQUEUE_WEB_GRACE_SECONDS": "0.2"}
    message = {"role": "user", "content": directive("tokens=60 interval=0.05", name)}
    with stack.client() as client, stack.worker(), running(GUNICORN, ready="Booting worker", env=env) as web:
        there = client.with_options(base_url=f"http://127.0.0.1:{port}/v1", max_retries=2)
        with ThreadPoolExecutor() as pool:
            waiting = pool.submit(there.chat.completions.create, model="m", messages=[message])
            until(lambda: calls(stack.model_url, name)["open"] == 1)
            web.send(signal.SIGHUP)
            answer = waiting.result(30)

        assert answer.choices[0].message.content == SIXTY
        assert calls(stack.model_url, name)["calls"] == 1
