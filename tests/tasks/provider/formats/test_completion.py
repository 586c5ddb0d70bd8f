"""A chat completion put together from chunks as providers send them: what is repeated is said once."""

import pytest

from tasks.provider.formats.completion import CompletionParser


def chunk(finish_reason=None, more=None, **delta):
    return {"model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason, **(more or {})}]}


def merged_choice(*said):
    parser = CompletionParser()
    for one in said:
        list(parser.parse(one))
    (choice,) = list(parser.finish())[-1].body["choices"]
    return choice


def test_a_finish_reason_told_twice_is_told_once():
    native = {"native_finish_reason": "end_turn"}
    choice = merged_choice(chunk(content="hi"), chunk("stop", native), chunk("stop", native), chunk(None))

    assert (choice["finish_reason"], choice["native_finish_reason"]) == ("stop", "end_turn")


def test_a_verdict_told_with_each_chunk_stays_one_word():
    verdict = {"content_filter_results": {"hate": {"filtered": False, "severity": "safe"}}}
    choice = merged_choice(chunk(more=verdict, content="a"), chunk(more=verdict, content="b"), chunk("stop"))

    assert choice["content_filter_results"] == verdict["content_filter_results"]
    assert choice["message"]["content"] == "ab"


def test_a_thought_told_with_details_grows_in_its_text_alone():
    said = [
        chunk(reasoning=text, reasoning_details=[{"type": "reasoning.text", "text": text, "format": "v1", "index": 0}])
        for text in ("a", "b")
    ]
    message = merged_choice(*said, chunk("stop", content="hi"))["message"]

    assert message["reasoning"] == "ab"
    assert message["reasoning_details"] == [{"type": "reasoning.text", "text": "ab", "format": "v1", "index": 0}]


def test_an_answer_in_parts_is_put_together_as_parts():
    thinking = [chunk(content=[{"type": "thinking", "thinking": [{"type": "text", "text": text}]}]) for text in "ab"]
    message = merged_choice(chunk(content=""), *thinking, chunk(content="h"), chunk(content="i"), chunk("stop"))[
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
    choice = merged_choice(chunk(more=likely, annotations=[cited]), chunk("stop", likely, annotations=[cited]))

    assert choice["message"]["annotations"] == [cited, cited]
    assert choice["logprobs"]["content"] == [token, token]


@pytest.mark.parametrize("index", [None, "0"])
def test_a_choice_without_a_number_is_the_first(index):
    parser = CompletionParser()
    (delta,) = parser.parse(chunk(more={"index": index}, content="hi"))

    assert delta.text == "hi"
    assert delta.data["choices"][0]["index"] == 0


def test_what_a_provider_says_before_any_choice_is_streamed_too():
    """A verdict on the prompt; a chunk that has the usage alone says nothing."""
    parser = CompletionParser()
    (verdict,) = parser.parse({"model": "m", "choices": [], "prompt_filter_results": [{"prompt_index": 0}]})
    (counted,) = parser.parse({"model": "m", "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1}})

    assert verdict.data["prompt_filter_results"] == [{"prompt_index": 0}]
    assert counted.data is None


THOUGHT = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]


def test_an_empty_text_beside_parts_says_nothing():
    message = merged_choice(chunk(content=""), chunk(content=THOUGHT), chunk(content="hi"), chunk("stop", content=""))[
        "message"
    ]

    assert message["content"] == [*THOUGHT, {"type": "text", "text": "hi"}]


@pytest.mark.parametrize(
    ("first", "then", "whole"),
    [
        ({}, "a", "a"),
        ({"a": 1}, "b", "b"),
        ("a", {"b": 1}, {"b": 1}),
        ("a", 5, 5),
        (5, "a", "a"),
        (5, {"a": 1}, {"a": 1}),
        (["a"], {"b": 1}, ["a", {"b": 1}]),
        ({"a": 1}, ["b"], [{"a": 1}, "b"]),
        ([], 5, [5]),
        ({"a": 1}, "", {"a": 1}),
        (["a"], None, ["a"]),
    ],
)
def test_a_value_that_changes_its_type_does_not_cost_the_answer(first, then, whole):
    """What cannot go on with what there is takes its place, or stands beside it in a list."""
    assert merged_choice(chunk(summary=first), chunk("stop", summary=then))["message"]["summary"] == whole


def test_parts_are_in_the_stream_too():
    parser = CompletionParser()
    list(parser.parse(chunk(content="")))
    (parts,), (text,) = parser.parse(chunk(content=THOUGHT)), parser.parse(chunk(content="hi"))

    assert parts.data["choices"][0]["delta"]["content"] == THOUGHT
    assert (text.text, text.data) == ("hi", None)
