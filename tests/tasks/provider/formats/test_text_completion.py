"""A text completion's chunks add up to what a call without streaming returns."""

import pytest

from jobs.errors import ProviderRetryable
from tasks.provider.formats.text_completion import TextCompletionParser

TOPS = [{"a": -0.1, "index": -2.5}]  # a token may have the name of a field
LOGPROBS = {"tokens": ["a"], "token_logprobs": [None], "top_logprobs": TOPS, "text_offset": [0]}


def chunk(text="", reason=None, index=0, logprobs=None, **more):
    choice = {"index": index, "text": text, "logprobs": logprobs, "finish_reason": reason, **more}
    return {"id": "c", "object": "text_completion", "model": "m", "choices": [choice]}


def parse(parser, *payloads, is_done=True):
    deltas = [delta for payload in payloads for delta in parser.parse(payload)]
    return deltas + list(parser.finish(is_done))


def test_texts_and_log_probabilities_are_joined():
    """Of each choice, in the order of their indexes, whatever the order of the chunks."""
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    *_, last = parse(
        TextCompletionParser(choices=2),
        chunk("x", index=1),
        chunk("a", logprobs=LOGPROBS) | {"x_vendor": 1},
        chunk("b", "stop", logprobs=LOGPROBS, stop_reason=7),
        chunk("y", "length", index=1),
        {"choices": [], "usage": usage},
    )

    first, second = last.body["choices"]
    assert (first["text"], first["finish_reason"], first["stop_reason"]) == ("ab", "stop", 7)
    assert first["logprobs"] == {name: value * 2 for name, value in LOGPROBS.items()}
    assert (second["index"], second["text"], second["finish_reason"]) == (1, "xy", "length")
    assert (last.body["usage"], last.body["x_vendor"]) == (usage, 1)


def test_plain_text_is_a_bare_delta():
    """The log stays small: only the first chunk of a text has more than the text."""
    first, second, third, _ = parse(TextCompletionParser(), chunk("a"), chunk("b"), chunk("", "stop"))

    assert (first.text, first.data["choices"][0]["text"]) == ("a", "a")
    assert (second.text, second.data) == ("b", None)
    assert third.finish_reason == "stop"


def test_a_text_is_cut_at_the_limit_in_deltas_and_body():
    """So that both are equal."""
    parser = TextCompletionParser(3)
    deltas = parse(parser, chunk("ab"), chunk("cd"))

    assert "".join(delta.text for delta in deltas) == deltas[-1].body["choices"][0]["text"] == "abc"
    assert deltas[-1].finish_reason == "length"


def test_half_of_a_surrogate_pair_waits_for_the_other():
    """A provider may cut a text anywhere."""
    deltas = parse(TextCompletionParser(), chunk("a\ud83d"), chunk("\ude42b\ud83d", "stop"))

    assert "".join(delta.text for delta in deltas) == deltas[-1].body["choices"][0]["text"] == "a🙂b\ufffd"


def test_a_stream_without_an_end_was_cut():
    """The text so far must not pass for an answer."""
    with pytest.raises(ProviderRetryable):
        parse(TextCompletionParser(), chunk("a"), is_done=False)
