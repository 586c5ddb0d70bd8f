"""The text of a response, streamed or sent in the provider's last event."""

import asyncio

import pytest

from tasks.handlers.response import build_answer
from tasks.handlers.streamed_answer import AnswerAccumulator
from tasks.provider.formats.response import ResponseParser
from tests.support.fakes import fake

THOUGHT = {"id": "rs_1", "type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]}


def message(content):
    return {"id": "msg_1", "type": "message", "role": "assistant", "content": content}


def text_part(text):
    return {"type": "output_text", "text": text, "annotations": []}


def answer_text(*output, streamed=""):
    """The text of a response whose last event has that output."""
    completed = {"type": "response.completed", "response": {"status": "completed", "output": list(output)}}
    accumulator = AnswerAccumulator(fake(text=streamed, usage=None, add=lambda _: None))
    for delta in ResponseParser().parse(completed):
        accumulator.add(delta)
    return asyncio.run(build_answer(accumulator)).text


def test_a_text_sent_in_the_last_event_only_becomes_the_answer():
    """A provider that streams no text still gives the caller an answer with text."""
    assert answer_text(THOUGHT, message([text_part("Who"), text_part("le")]), message([text_part("!")])) == "Whole!"


def test_a_streamed_text_becomes_the_answer_unchanged():
    """The answer equals what clients have seen in the stream, whatever the last event contains."""
    assert answer_text(message([text_part("Whole")]), streamed="Who") == "Who"


@pytest.mark.parametrize("content", [None, "x", 5, ["x"], [{"type": "output_text"}], [text_part(5)], [text_part(None)]])
def test_a_malformed_message_adds_no_text(content):
    """Malformed data must not fail an answer that is paid for."""
    assert answer_text(message(content), message([text_part("hi")])) == "hi"
