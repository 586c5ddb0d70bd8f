"""What an answer is made of as it streams in, whichever way the provider speaks."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final, Protocol

from jobs.results import Usage
from tasks.provider.limits import SizeBudget, check_depth

TRUNCATED_REASONS: Final = frozenset({"length", "content_filter"})  # finish reasons of an answer that is not whole
# What a reader raises for data that is not what it should be.
MALFORMED: Final = (KeyError, TypeError, AttributeError, IndexError, ValueError, OverflowError, RecursionError)


@dataclass(frozen=True)
class Delta:
    """A part of an answer. Each field may be absent; the last ones carry reason, usage and the whole body.

    ``data``: what else came with the text, or without one, in the shape of the job's own API. ``data_delta``: by how
    much what it names has grown; such deltas that come together are one event.
    """

    text: str = field(default="", repr=False)
    finish_reason: str | None = None
    usage: Usage | None = None
    model: str | None = None
    data: dict[str, Any] | None = field(default=None, repr=False)
    data_delta: str = field(default="", repr=False)
    body: dict[str, Any] | None = field(default=None, repr=False)

    @cached_property
    def data_json(self) -> str:
        """The data as it is written down, made once. Raises ValueError for a number that JSON has no word for."""
        return repair_surrogates(json.dumps(self.data, ensure_ascii=False, allow_nan=False, separators=(",", ":")))


class StreamParser(Protocol):
    """Reads one stream, in order. Raises one of MALFORMED for what makes no sense."""

    @property
    def budget(self) -> SizeBudget:
        """The answer's size is taken from it, so that deltas, and what is put together of them, end at the same
        place.
        """
        ...

    @property
    def is_over(self) -> bool:
        """The last event was one after which nothing comes; chat completions have another word for it."""
        ...

    def parse(self, payload: Any) -> Iterable[Delta]: ...

    def finish(self) -> Iterable[Delta]:
        """What is left to say once the stream has ended, or there is no budget left.

        Raises ProviderRetryable when it was cut before.
        """
        ...


class SurrogateJoiner:
    """Mends characters outside the basic plane that a provider has cut in two: half in one chunk, half in the next.

    A half that stays alone becomes U+FFFD: it is no text, and neither UTF-8 nor Redis would take it.
    """

    def __init__(self) -> None:
        self._pending = ""

    def join(self, text: str) -> str:
        if not self._pending and text.isascii():
            return text
        joined = self._pending + text
        self._pending = joined[-1] if joined and "\ud800" <= joined[-1] <= "\udbff" else ""
        return repair_surrogates(joined[: len(joined) - len(self._pending)])

    def flush(self) -> str:
        """Of a text that has ended: the half that nothing came to."""
        pending, self._pending = self._pending, ""
        return repair_surrogates(pending)


def repair_surrogates(text: str) -> str:
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def sanitize(delta: Delta) -> Delta:
    """With data and body that can be written down, and read again. Raises one of MALFORMED."""
    if delta.data is not None:
        check_depth(delta.data, delta.data_json)
        return delta
    if delta.body is None:
        return delta
    as_json = json.dumps(delta.body, allow_nan=False)
    check_depth(delta.body, as_json)
    if r"\ud" not in as_json:
        return delta
    return replace(delta, body=json.loads(repair_surrogates(json.dumps(delta.body, ensure_ascii=False))))


def read_text(value: Any) -> str | None:
    """Text or nothing. Raises TypeError for anything else."""
    if value is not None and not isinstance(value, str):
        raise TypeError
    return value


def read_content(content: Any) -> str:
    """What a chunk says; of parts, those that are text."""
    if isinstance(content, list):
        content = "".join(read_text(part.get("text")) or "" for part in content if part.get("type") == "text")
    return read_text(content) or ""


def read_model(payload: dict[str, Any]) -> str | None:
    return repair_surrogates(read_text(payload.get("model")) or "") or None


def read_usage(usage: Any) -> Usage | None:
    """Tokens, under the names of chat completions and embeddings or under those of responses.

    What makes no sense is no usage: it is no reason to lose an answer that has been paid for.
    """
    if not usage:
        return None
    try:
        input_tokens = int(usage["input_tokens"] if "input_tokens" in usage else usage["prompt_tokens"])
        output_tokens = int(usage.get("output_tokens") or usage.get("completion_tokens") or 0)
        return Usage(
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            total_tokens=int(usage.get("total_tokens") or input_tokens + output_tokens),
        )
    except MALFORMED:
        return None
