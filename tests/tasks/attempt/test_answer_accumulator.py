"""The answer that is made of what a provider has said."""

import asyncio
from types import SimpleNamespace

import pytest

from jobs.kinds.response import ResponseTask
from tasks.attempt.answer_accumulator import AnswerAccumulator
from tasks.provider.formats.response import ResponseParser

THOUGHT = {"id": "rs_1", "type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]}


def message(content):
    return {"id": "msg_1", "type": "message", "role": "assistant", "content": content}


def text_part(text):
    return {"type": "output_text", "text": text, "annotations": []}


def answer_text(*output, streamed=""):
    """The text of a response whose last event has that output."""
    completed = {"type": "response.completed", "response": {"status": "completed", "output": list(output)}}
    accumulator = AnswerAccumulator(
        ResponseTask(kind="response", body={}), SimpleNamespace(text=streamed, usage=None, add=lambda _: None)
    )
    for delta in ResponseParser().parse(completed):
        accumulator.add(delta)
    return asyncio.run(accumulator.build_answer()).text


def test_a_text_that_came_with_the_last_event_alone_is_the_answers():
    assert answer_text(THOUGHT, message([text_part("Who"), text_part("le")]), message([text_part("!")])) == "Whole!"


def test_a_text_that_was_streamed_is_the_answers_as_it_was_streamed():
    assert answer_text(message([text_part("Whole")]), streamed="Who") == "Who"


@pytest.mark.parametrize("content", [None, "x", 5, ["x"], [{"type": "output_text"}], [text_part(5)], [text_part(None)]])
def test_a_message_that_makes_no_sense_says_nothing(content):
    assert answer_text(message(content), message([text_part("hi")])) == "hi"
