"""llama.cpp's own server as the provider. The events of its responses have no indexes and no numbers."""

import json
import urllib.request
from collections.abc import Iterator

import pytest

from tests.clients.installed import FOLDER, script
from tests.support.processes import free_port, running
from tests.support.stack import Stack, serving
from tests.support.waiting import until

START_SECONDS = 60.0
CALL = {"model": "m", "input": "Say hello.", "max_output_tokens": 8}

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]  # the start counts as part of the first test


@pytest.fixture(scope="module")
def llama_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    args = [
        script("llama", "python"),
        str(FOLDER / "llama_server.py"),
        str(port),
        str(tmp_path_factory.mktemp("llama")),
    ]
    with running(args, ready="listening at", env={}, seconds=START_SECONDS):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def llama_stack(redis_url: str, llama_url: str) -> Iterator[Stack]:
    with serving(redis_url, f"{llama_url}/v1", CHATQUEUE_PROVIDER_API="auto") as stack, stack.worker():
        yield stack


def is_busy(llama_url):
    with urllib.request.urlopen(f"{llama_url}/slots", timeout=10) as reply:
        return any(slot["is_processing"] for slot in json.load(reply))


def test_responses_are_streamed_and_continued(llama_stack):
    """Waited for, streamed and in the background; the deltas add up to the text."""
    with llama_stack.client() as client:
        waited = client.responses.create(**CALL)
        events = list(client.responses.create(**CALL, stream=True))
        background = client.responses.create(**CALL, background=True)
        ended = until(lambda: _ended(client.responses.retrieve(background.id)), 60)
        continued = client.responses.create(**CALL | {"input": "And now?"}, previous_response_id=waited.id)

    deltas = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert waited.output_text
    assert waited.output_text == deltas == events[-1].response.output_text == ended.output_text
    assert continued.status == "completed"


def _ended(response):
    return response if response.status not in ("queued", "in_progress") else None


def test_a_cancel_frees_the_slot_of_the_model(llama_stack, llama_url):
    """The upstream connection is closed, so the model stops."""
    call = CALL | {"input": "Write a long story about the sea.", "max_output_tokens": 3000}
    with llama_stack.client() as client:
        stream = client.responses.create(**call, background=True, stream=True)
        started = next(iter(stream)).response
        until(lambda: is_busy(llama_url), 60)
        assert client.responses.cancel(started.id).status == "cancelled"
        stream.close()

    until(lambda: not is_busy(llama_url), 30)


def test_chat_completions_work(llama_stack):
    """The same server, through its other API."""
    messages = [{"role": "user", "content": "Say hello."}]
    with llama_stack.client() as client:
        completion = client.chat.completions.create(model="m", messages=messages, max_tokens=8)
        chunks = list(client.chat.completions.create(model="m", messages=messages, max_tokens=8, stream=True))

    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert text == completion.choices[0].message.content
