"""The provider breaks off in mid-stream, and its next answer differs: the client notices, and acts on nothing twice."""

import json
from contextlib import contextmanager

import openai
import pytest

from tests.support.chat_provider import chat_provider
from tests.support.stack import serving
from tests.support.waiting import until

pytestmark = pytest.mark.processes

MESSAGES = [{"role": "user", "content": "hi"}]


def chunk(finish_reason=None, **delta):
    return {"model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}


def call(call_id, arguments):
    return chunk(tool_calls=[{"index": 0, "id": call_id, "function": {"name": "f", "arguments": arguments}}])


@contextmanager
def breaking_provider(first, then):
    """A provider whose first answer is ``first``, without an end; later answers are ``then``. Yields its base URL."""
    answers = iter([first])

    def answer(_body):
        return "".join(f"data: {json.dumps(one)}\n\n" for one in next(answers, then))

    with chat_provider(answer) as url:
        yield url


@contextmanager
def served(redis_url, first, then):
    settings = {"CHATQUEUE_PROVIDER_API": "chat"}
    with (
        breaking_provider(first, then) as provider_url,
        serving(redis_url, provider_url, **settings) as stack,
        stack.worker(),
        stack.client() as client,
    ):
        yield client


DIFFERING = ([chunk(content="one "), chunk(content="two")], [chunk(content="three"), chunk("stop")])
CUT_CALL = (
    [chunk(content="Let me see."), call("c1", '{"a')],
    [chunk(content="Let me see."), call("c2", '{"a":1}'), chunk("tool_calls")],
)


@pytest.mark.usefixtures("redis_client")
def test_a_differing_answer_ends_the_stream_of_a_response(redis_url):
    """The job continues: a second stream has the new answer alone, with the following numbers."""
    with served(redis_url, *DIFFERING) as client:
        events = list(client.responses.create(model="m", input="hi", background=True, stream=True))
        failed = events[-1]
        again = list(client.responses.retrieve(failed.response.id, stream=True))
        rest = list(client.responses.retrieve(failed.response.id, stream=True, starting_after=failed.sequence_number))
        final = client.responses.retrieve(failed.response.id)

    assert (failed.type, failed.response.error.code) == ("response.failed", "answer_restarted")
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == "one two"
    assert (again[0].type, again[-1].type) == ("response.created", "response.completed")
    assert [event.to_dict() for event in rest] == [event.to_dict() for event in again]
    assert again[0].sequence_number == failed.sequence_number + 1
    deltas = "".join(event.delta for event in again if event.type == "response.output_text.delta")
    assert deltas == again[-1].response.output_text == final.output_text == "three"


@pytest.mark.usefixtures("redis_client")
def test_a_differing_answer_ends_the_stream_of_a_completion(redis_url):
    """The client raises an error instead of joining the two answers."""
    chunks = []
    with served(redis_url, *DIFFERING) as client:
        stream = client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
        with pytest.raises(openai.APIError) as restarted:
            chunks.extend(stream)
        whole = until(lambda: client.chat.completions.retrieve(chunks[0].id).choices[0].message.content == "three")

    assert restarted.value.code == "answer_restarted"
    assert "".join(choice.delta.content or "" for one in chunks for choice in one.choices) == "one two"
    assert whole


@pytest.mark.usefixtures("redis_client")
def test_a_call_of_a_lost_attempt_never_reaches_the_client(redis_url):
    """A program that runs each call in the stream must not run the first one."""
    with served(redis_url, *CUT_CALL) as client:
        events = list(client.responses.create(model="m", input="hi", stream=True))

    done = [event.item for event in events if event.type == "response.output_item.done"]
    added = [event.item for event in events if event.type == "response.output_item.added"]
    assert [item.type for item in added] == [item.type for item in done] == ["message", "function_call"]
    assert (done[1].call_id, done[1].arguments) == ("c2", '{"a":1}')
    assert [item.to_dict() for item in events[-1].response.output] == [item.to_dict() for item in done]


@pytest.mark.usefixtures("redis_client")
def test_a_call_of_a_lost_attempt_is_in_no_chunk(redis_url):
    """The same for a chat completion."""
    with served(redis_url, *CUT_CALL) as client:
        chunks = list(client.chat.completions.create(model="m", messages=MESSAGES, stream=True))

    fragments = [fragment for one in chunks for choice in one.choices for fragment in choice.delta.tool_calls or ()]
    assert [(fragment.id, fragment.function.arguments) for fragment in fragments] == [("c2", '{"a":1}')]
    assert chunks[-1].choices[0].finish_reason == "tool_calls"
