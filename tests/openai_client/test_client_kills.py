"""A worker or a web process is killed in mid-stream, and the client's program is not affected."""

import signal

import httpx2
import openai
import pytest

from tests.support.processes import free_port, running
from tests.support.stack import GUNICORN
from tests.support.waiting import until

SIXTY = " ".join(f"w{number}" for number in range(60))
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
