"""A chat completion put together from chunks as providers send them: what is repeated is said once."""

import pytest

from tasks.upstream.completion import CompletionReader


def chunk(finish_reason=None, more=None, **delta):
    return {"model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason, **(more or {})}]}


def put_together(*said):
    reader = CompletionReader()
    for one in said:
        list(reader.read(one))
    (choice,) = list(reader.end())[-1].body["choices"]
    return choice


def test_a_finish_reason_told_twice_is_told_once():
    native = {"native_finish_reason": "end_turn"}
    choice = put_together(chunk(content="hi"), chunk("stop", native), chunk("stop", native), chunk(None))

    assert (choice["finish_reason"], choice["native_finish_reason"]) == ("stop", "end_turn")


def test_a_verdict_told_with_each_chunk_stays_one_word():
    verdict = {"content_filter_results": {"hate": {"filtered": False, "severity": "safe"}}}
    choice = put_together(chunk(more=verdict, content="a"), chunk(more=verdict, content="b"), chunk("stop"))

    assert choice["content_filter_results"] == verdict["content_filter_results"]
    assert choice["message"]["content"] == "ab"


def test_a_thought_told_with_details_grows_in_its_text_alone():
    said = [
        chunk(reasoning=text, reasoning_details=[{"type": "reasoning.text", "text": text, "format": "v1", "index": 0}])
        for text in ("a", "b")
    ]
    message = put_together(*said, chunk("stop", content="hi"))["message"]

    assert message["reasoning"] == "ab"
    assert message["reasoning_details"] == [{"type": "reasoning.text", "text": "ab", "format": "v1", "index": 0}]


def test_an_answer_in_parts_is_put_together_as_parts():
    thinking = [chunk(content=[{"type": "thinking", "thinking": [{"type": "text", "text": text}]}]) for text in "ab"]
    message = put_together(chunk(content=""), *thinking, chunk(content="h"), chunk(content="i"), chunk("stop"))[
        "message"
    ]

    assert message["content"] == [
        {"type": "thinking", "thinking": [{"type": "text", "text": "ab"}]},
        {"type": "text", "text": "hi"},
    ]


def test_annotations_and_probabilities_are_all_kept():
    cited = {"type": "url_citation", "url_citation": {"url": "http://x"}}
    token = {"token": "hi", "logprob": -0.1, "bytes": None, "top_logprobs": []}
    likely = {"logprobs": {"content": [token]}}
    choice = put_together(chunk(more=likely, annotations=[cited]), chunk("stop", likely, annotations=[cited]))

    assert choice["message"]["annotations"] == [cited, cited]
    assert choice["logprobs"]["content"] == [token, token]


@pytest.mark.parametrize("index", [None, "0"])
def test_a_choice_without_a_number_is_the_first(index):
    reader = CompletionReader()
    (piece,) = reader.read(chunk(more={"index": index}, content="hi"))

    assert piece.text == "hi"
    assert piece.data["choices"][0]["index"] == 0


def test_what_a_provider_says_before_any_choice_is_streamed_too():
    """A verdict on the prompt; a chunk that has the usage alone says nothing."""
    reader = CompletionReader()
    (verdict,) = reader.read({"model": "m", "choices": [], "prompt_filter_results": [{"prompt_index": 0}]})
    (counted,) = reader.read({"model": "m", "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1}})

    assert verdict.data["prompt_filter_results"] == [{"prompt_index": 0}]
    assert counted.data is None
