"""What an answer is made of as it streams in, whichever way the provider speaks."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final, Protocol

from jobs.answers import Usage

# What a reader raises for data that is not what it should be.
NONSENSE: Final = (KeyError, TypeError, AttributeError, IndexError, ValueError, OverflowError)


@dataclass(frozen=True)
class Piece:
    """A part of an answer. Each field may be absent; the last ones carry reason, usage and the whole body.

    ``data``: what else came with the text, or without one, in the shape in which the job was asked. ``delta``: by how
    much what it names has grown; such pieces that come together are one event.
    """

    text: str = field(default="", repr=False)
    finish_reason: str | None = None
    usage: Usage | None = None
    model: str | None = None
    data: dict[str, Any] | None = field(default=None, repr=False)
    delta: str = field(default="", repr=False)
    body: dict[str, Any] | None = field(default=None, repr=False)

    @cached_property
    def data_json(self) -> str:
        """The data as it is written down, made once. Raises ValueError for a number that JSON has no word for."""
        return mended(json.dumps(self.data, ensure_ascii=False, allow_nan=False, separators=(",", ":")))

    @property
    def chars(self) -> int:
        """How much longer it makes the answer."""
        whole = "" if self.data is None or self.delta else self.data_json
        return len(self.text) + len(self.delta) + len(whole)


class Reader(Protocol):
    """Reads one stream, in order. Raises one of NONSENSE for what makes no sense."""

    @property
    def is_over(self) -> bool:
        """The last event was one after which nothing comes; chat completions have another word for it."""
        ...

    def read(self, said: Any) -> Iterable[Piece]: ...

    def end(self) -> Iterable[Piece]:
        """What is left to say once the stream has ended. Raises ProviderRetryable when it was cut."""
        ...


class Halves:
    """Mends characters outside the basic plane that a provider has cut in two: half in one chunk, half in the next.

    A half that stays alone becomes U+FFFD: it is no text, and neither UTF-8 nor Redis would take it.
    """

    def __init__(self) -> None:
        self._kept = ""

    def join(self, text: str) -> str:
        whole = self._kept + text
        self._kept = whole[-1] if whole and "\ud800" <= whole[-1] <= "\udbff" else ""
        return mended(whole[: len(whole) - len(self._kept)])


def mended(text: str) -> str:
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def clean(piece: Piece) -> Piece:
    """With data and body that can be written down. Raises ValueError for a number that JSON has no word for."""
    if piece.data is not None:
        _ = piece.data_json  # raises now; kept for the log
        return piece
    if piece.body is None or r"\ud" not in json.dumps(piece.body, allow_nan=False):
        return piece
    return replace(piece, body=json.loads(mended(json.dumps(piece.body, ensure_ascii=False))))


def read_text(value: Any) -> str | None:
    """Text or nothing. Raises TypeError for anything else."""
    if value is not None and not isinstance(value, str):
        raise TypeError
    return value


def read_model(said: dict[str, Any]) -> str | None:
    return mended(read_text(said.get("model")) or "") or None


def read_usage(usage: Any) -> Usage | None:
    """Tokens, under the names of chat completions and embeddings or under those of responses."""
    if not usage:
        return None
    given = int(usage["input_tokens"] if "input_tokens" in usage else usage["prompt_tokens"])
    made = int(usage.get("output_tokens") or usage.get("completion_tokens") or 0)
    return Usage(input_tokens=given, output_tokens=made, total_tokens=int(usage.get("total_tokens", given + made)))
