"""The deltas of a chat completion's stream."""

import pytest

from tasks.provider.formats.completion import CompletionParser

THOUGHT = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]


def chunk(finish_reason=None, more=None, **delta):
    return {"model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason, **(more or {})}]}


@pytest.mark.parametrize("index", [None, "0"])
def test_a_choice_without_a_number_is_the_first(index):
    """Some providers send no index, or send it as text; the text must reach the stream nevertheless."""
    parser = CompletionParser()
    (delta,) = parser.parse(chunk(more={"index": index}, content="hi"))

    assert delta.text == "hi"
    assert delta.data["choices"][0]["index"] == 0


def test_a_chunk_before_any_choice_is_streamed_too():
    """Content-filter results for the prompt are passed on; a chunk with usage alone has no data."""
    parser = CompletionParser()
    (verdict,) = parser.parse({"model": "m", "choices": [], "prompt_filter_results": [{"prompt_index": 0}]})
    (counted,) = parser.parse({"model": "m", "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1}})

    assert verdict.data["prompt_filter_results"] == [{"prompt_index": 0}]
    assert counted.data is None


def test_content_in_parts_is_streamed_as_data():
    """Content parts cannot be sent as text; the text after them is still plain text."""
    parser = CompletionParser()
    list(parser.parse(chunk(content="")))
    (parts,), (text,) = parser.parse(chunk(content=THOUGHT)), parser.parse(chunk(content="hi"))

    assert parts.data["choices"][0]["delta"]["content"] == THOUGHT
    assert (text.text, text.data) == ("hi", None)
