"""Estimates of tokens: for every kind of job, every kind of content, and cheap for long texts."""

import base64

import pytest

from jobs.kinds import KINDS
from jobs.kinds.chat import ChatTask
from jobs.kinds.completion import CompletionTask
from jobs.kinds.embeddings import EmbeddingsTask
from jobs.kinds.ingest import IngestTask
from jobs.kinds.removal import RemovalTask
from jobs.kinds.response import ResponseTask
from jobs.kinds.text_completion import TextCompletionTask
from jobs.requests import Message
from jobs.token_estimate import input_tokens, max_output_tokens

TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
DATA_100_KB = "data:application/pdf;base64," + base64.b64encode(bytes(100_000)).decode()


def completion(*content, **body):
    messages = [{"role": "user", "content": part} for part in content]
    return CompletionTask(kind="completion", body={"messages": messages, **body})


def text_completion(prompt, **body):
    return TextCompletionTask(kind="text_completion", body={"prompt": prompt, **body})


def response(value, previous_items=(), **body):
    return ResponseTask(kind="response", body={"input": value, **body}, previous_items=previous_items)


def document(kind):
    return kind(kind=kind.__name__.removesuffix("Task").lower(), document_id="doc_" + "0" * 32, filename="a.pdf")


@pytest.mark.parametrize(
    ("text", "tokens_per_char"),
    [
        ("a plain text in English. ", 0.25),
        ("天空为什么是蓝色的", 0.8),
        ("なぜ空は青い", 0.8),
        ("하늘은왜파란가", 0.8),
        ("Почему", 0.4),
    ],
)
@pytest.mark.parametrize("repeats", [10, 20_000])
def test_the_tokens_of_a_text_depend_on_its_script(text, tokens_per_char, repeats):
    """Chinese needs three times the tokens of English with as many characters. A long text is only sampled."""
    estimate = input_tokens(EmbeddingsTask(kind="embeddings", input=(text * repeats,)))

    assert estimate == pytest.approx(len(text) * repeats * tokens_per_char, rel=0.02)


def test_a_text_of_several_scripts_is_their_sum():
    """A few umlauts do not turn a text into Chinese."""
    german = EmbeddingsTask(kind="embeddings", input=("Möglichst viele Menschen sprechen von Bäumen im Wald. " * 100,))
    mixed = EmbeddingsTask(kind="embeddings", input=("abcd" * 100 + "天空" * 100,))

    assert input_tokens(german) == pytest.approx(5_400 * 0.25, rel=0.05)
    assert input_tokens(mixed) == pytest.approx(100 + 160, rel=0.02)


def test_lone_surrogates_are_counted_like_other_characters():
    """JSON may contain half a pair, which UTF-8 cannot encode."""
    assert input_tokens(completion("\ud83d" * 100)) > 0


@pytest.mark.parametrize(
    ("request_", "low", "high"),
    [
        (ChatTask(kind="chat", message="a" * 400, system="b" * 400), 200, 220),
        (ChatTask(kind="chat", message="a" * 400, history=(Message(role="user", content="b" * 400),)), 200, 220),
        (ChatTask(kind="chat", message="a" * 400, documents="all"), 2_100, 2_120),
        (EmbeddingsTask(kind="embeddings", input=("a" * 400, (1, 2, 3))), 103, 103),
        (completion("a" * 400), 100, 110),
        (completion("a" * 400, tools=[TOOL] * 10), 400, 600),
        (completion([{"type": "text", "text": "a" * 400}]), 100, 110),
        (completion([{"type": "image_url", "image_url": {"url": DATA_100_KB}}]), 1_000, 1_010),
        (completion([{"type": "image_url", "image_url": {"url": "http://x", "detail": "low"}}]), 100, 110),
        (completion([{"type": "input_audio", "input_audio": {"data": DATA_100_KB, "format": "mp3"}}]), 90, 110),
        (completion([{"type": "file", "file": {"file_data": DATA_100_KB, "filename": "a.pdf"}}]), 9_000, 11_000),
        (completion([{"type": "file", "file": {"file_id": "file-1"}}]), 2_000, 2_010),
        (text_completion("a" * 400), 100, 100),
        (text_completion(["a" * 400, "b" * 400]), 200, 200),
        (text_completion([[1, 2, 3], [4]]), 4, 4),
        (text_completion(None), 0, 0),
        (response("a" * 400, instructions="b" * 400), 200, 210),
        (response("a" * 400, previous_items=({"role": "user", "content": "b" * 400},)), 200, 210),
        (response([{"role": "user", "content": [{"type": "input_image", "image_url": "http://x"}]}]), 1_000, 1_010),
        (response([{"role": "user", "content": [{"type": "input_file", "file_url": "http://x"}]}]), 2_000, 2_010),
        (response([{"type": "function_call_output", "call_id": "c", "output": "a" * 400}]), 100, 110),
        (response([{"type": "function_call", "call_id": "c", "name": "n", "arguments": "a" * 400}]), 160, 170),
        (response("a", text={"format": {"type": "json_schema", "schema": {"title": "a" * 400}}}), 160, 200),
        (document(IngestTask), 0, 0),
        (document(RemovalTask), 0, 0),
    ],
)
def test_all_that_the_model_reads_is_counted(request_, low, high):
    """Text, tools, schemas, images, files and audio, in the formats of both APIs."""
    assert low <= input_tokens(request_) <= high


@pytest.mark.parametrize(
    ("request_", "tokens"),
    [
        (ChatTask(kind="chat", message="a"), None),
        (ChatTask(kind="chat", message="a", max_output_tokens=50), 50),
        (completion("a"), None),
        (completion("a", max_tokens=50), 50),
        (completion("a", max_completion_tokens=60, n=3), 180),
        (completion("a", max_completion_tokens="many"), None),
        (completion("a", max_completion_tokens=True, max_tokens=-1), None),
        (text_completion("a"), None),
        (text_completion([1, 2], max_tokens=0), 0),
        (text_completion(["a", "b"], max_tokens=5, n=2), 20),
        (text_completion([[1], [2]], max_tokens=5, n=2, best_of=3), 30),
        (response("a", max_output_tokens=70), 70),
        (response("a"), None),
        (EmbeddingsTask(kind="embeddings", input=("a",)), 0),
        (document(IngestTask), 0),
        (document(RemovalTask), 0),
    ],
)
def test_the_most_tokens_of_an_answer_are_those_that_the_request_allows(request_, tokens):
    """None if it sets no limit, 0 where no text is written. A value that no provider accepts is no limit."""
    assert max_output_tokens(request_) == tokens


@pytest.mark.parametrize(
    "body",
    [{}, {"messages": None}, {"messages": [None, 5, [[]], {"content": {"text": 5}}]}, {"tools": "x"}, {"file_data": 5}],
)
def test_a_malformed_body_has_an_estimate_too(body):
    """The provider rejects it later. The estimate must not fail the submit."""
    assert input_tokens(CompletionTask(kind="completion", body=body)) >= 0


def test_a_deeply_nested_body_has_an_estimate():
    """No call stack grows with what a caller sends."""
    nested: object = "text"
    for _ in range(10_000):
        nested = [nested]

    assert (
        input_tokens(CompletionTask.model_construct(kind="completion", body={"messages": nested, "tools": nested})) > 0
    )


def test_no_kind_of_job_is_forgotten():
    """A new kind needs an estimate, or its calls would pass every limit of tokens."""
    assert set(KINDS) == {"chat", "embeddings", "completion", "response", "text_completion", "ingest", "removal"}
