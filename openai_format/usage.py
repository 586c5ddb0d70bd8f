"""Token usage under OpenAI's two sets of names: one for chat completions and embeddings, one for responses."""

from typing import Any, NamedTuple, NotRequired, Protocol, TypedDict

from openai_format.text import MALFORMED
from openai_format.types import JsonObject


class HasTokenCounts(Protocol):
    @property
    def input_tokens(self) -> int: ...
    @property
    def output_tokens(self) -> int: ...
    @property
    def total_tokens(self) -> int: ...


class TokenCounts(NamedTuple):
    input_tokens: int
    output_tokens: int
    total_tokens: int


class ChatUsage(TypedDict):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    estimated: NotRequired[bool]  # our extension: the counts are estimates


class InputDetails(TypedDict):
    cached_tokens: int


class OutputDetails(TypedDict):
    reasoning_tokens: int


class ResponseUsage(TypedDict):
    input_tokens: int
    input_tokens_details: InputDetails
    output_tokens: int
    output_tokens_details: OutputDetails
    total_tokens: int
    estimated: NotRequired[bool]  # our extension: the counts are estimates


def read_counts(usage: Any) -> TokenCounts | None:
    """The counts under either set of names.

    None for unreadable usage, which must not fail an answer that has been paid for.
    """
    if not usage:
        return None
    try:
        input_tokens = int(usage["input_tokens"] if "input_tokens" in usage else usage["prompt_tokens"])
        output_tokens = int(usage.get("output_tokens") or usage.get("completion_tokens") or 0)
        total_tokens = int(usage.get("total_tokens") or input_tokens + output_tokens)
    except MALFORMED:
        return None
    counts = TokenCounts(input_tokens, output_tokens, total_tokens)
    return counts if min(counts) >= 0 else None


def chat_usage(counts: HasTokenCounts, *, is_estimated: bool = False) -> ChatUsage:
    usage: ChatUsage = {
        "prompt_tokens": counts.input_tokens,
        "completion_tokens": counts.output_tokens,
        "total_tokens": counts.total_tokens,
    }
    if is_estimated:
        usage["estimated"] = True
    return usage


def response_usage(
    counts: HasTokenCounts, *, cached_tokens: int = 0, reasoning_tokens: int = 0, is_estimated: bool = False
) -> ResponseUsage:
    usage: ResponseUsage = {
        "input_tokens": counts.input_tokens,
        "input_tokens_details": {"cached_tokens": cached_tokens},
        "output_tokens": counts.output_tokens,
        "output_tokens_details": {"reasoning_tokens": reasoning_tokens},
        "total_tokens": counts.total_tokens,
    }
    if is_estimated:
        usage["estimated"] = True
    return usage


def chat_to_response_usage(counts: HasTokenCounts, usage: JsonObject) -> ResponseUsage:
    """A provider's chat completion usage as a response's usage. Details that are not counts become 0."""
    return response_usage(
        counts,
        cached_tokens=_detail(usage, "prompt_tokens_details", "cached_tokens"),
        reasoning_tokens=_detail(usage, "completion_tokens_details", "reasoning_tokens"),
    )


def _detail(usage: JsonObject, details_name: str, name: str) -> int:
    details = usage.get(details_name)
    count = details.get(name) if isinstance(details, dict) else None
    return count if isinstance(count, int) else 0
