"""Token usage under the names of both APIs."""

import pytest

from openai_format.usage import TokenCounts, chat_to_response_usage, chat_usage, read_counts, response_usage

COUNTS = TokenCounts(3, 2, 5)


@pytest.mark.parametrize("usage", [chat_usage(COUNTS), response_usage(COUNTS)], ids=["chat", "response"])
def test_usage_of_either_api_is_read(usage):
    """The counts survive a round trip through the format of each API."""
    assert read_counts(usage) == COUNTS


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        [],
        "5",
        {"total_tokens": 5},
        {"prompt_tokens": "many"},
        {"prompt_tokens": -1},
        {"prompt_tokens": 1e999},
    ],
    ids=str,
)
def test_unreadable_usage_is_none(usage):
    """Whatever a provider sends as usage, reading it raises nothing: an answer must not be lost for its usage."""
    assert read_counts(usage) is None


def test_a_missing_total_is_the_sum():
    """Some providers send no total, and embeddings have no output tokens."""
    assert read_counts({"prompt_tokens": 3, "completion_tokens": 2}) == COUNTS
    assert read_counts({"prompt_tokens": 3}) == TokenCounts(3, 0, 3)


def test_an_estimate_is_marked():
    """A client can tell an estimate from the provider's count; without an estimate the field is absent."""
    assert chat_usage(COUNTS, is_estimated=True)["estimated"]
    assert response_usage(COUNTS, is_estimated=True)["estimated"]
    assert "estimated" not in chat_usage(COUNTS)
    assert "estimated" not in response_usage(COUNTS)


def test_details_are_carried_over_and_odd_details_become_zero():
    """Cached and reasoning tokens keep their meaning; a malformed detail does not cost the rest."""
    details = {"prompt_tokens_details": {"cached_tokens": 1}, "completion_tokens_details": {"reasoning_tokens": None}}
    usage = chat_to_response_usage(COUNTS, details)

    assert usage["input_tokens_details"] == {"cached_tokens": 1}
    assert usage["output_tokens_details"] == {"reasoning_tokens": 0}
    assert chat_to_response_usage(COUNTS, {"prompt_tokens_details": [1]})["input_tokens_details"] == {
        "cached_tokens": 0
    }
