"""What an answer is made of as it streams in, whichever way the provider speaks."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final, Protocol

from jobs.results import Usage
from tasks.provider.limits import Room, check_depth

CUT_SHORT: Final = frozenset({"length", "content_filter"})  # finish reasons of an answer that is not whole
# What a reader raises for data that is not what it should be.
NONSENSE: Final = (KeyError, TypeError, AttributeError, IndexError, ValueError, OverflowError, RecursionError)


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


class Reader(Protocol):
    """Reads one stream, in order. Raises one of NONSENSE for what makes no sense."""

    @property
    def room(self) -> Room:
        """What is said is taken of it, so that pieces, and what is put together of them, end at the same place."""
        ...

    @property
    def is_over(self) -> bool:
        """The last event was one after which nothing comes; chat completions have another word for it."""
        ...

    def read(self, said: Any) -> Iterable[Piece]: ...

    def end(self) -> Iterable[Piece]:
        """What is left to say once the stream has ended, or there is no room left.

        Raises ProviderRetryable when it was cut before.
        """
        ...


class Halves:
    """Mends characters outside the basic plane that a provider has cut in two: half in one chunk, half in the next.

    A half that stays alone becomes U+FFFD: it is no text, and neither UTF-8 nor Redis would take it.
    """

    def __init__(self) -> None:
        self._kept = ""

    def join(self, text: str) -> str:
        if not self._kept and text.isascii():
            return text
        whole = self._kept + text
        self._kept = whole[-1] if whole and "\ud800" <= whole[-1] <= "\udbff" else ""
        return mended(whole[: len(whole) - len(self._kept)])

    def rest(self) -> str:
        """Of a text that has ended: the half that nothing came to."""
        kept, self._kept = self._kept, ""
        return mended(kept)


def mended(text: str) -> str:
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def clean(piece: Piece) -> Piece:
    """With data and body that can be written down, and read again. Raises one of NONSENSE."""
    if piece.data is not None:
        check_depth(piece.data, piece.data_json)
        return piece
    if piece.body is None:
        return piece
    as_json = json.dumps(piece.body, allow_nan=False)
    check_depth(piece.body, as_json)
    if r"\ud" not in as_json:
        return piece
    return replace(piece, body=json.loads(mended(json.dumps(piece.body, ensure_ascii=False))))


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


def read_model(said: dict[str, Any]) -> str | None:
    return mended(read_text(said.get("model")) or "") or None


def read_usage(usage: Any) -> Usage | None:
    """Tokens, under the names of chat completions and embeddings or under those of responses.

    What makes no sense is no usage: it is no reason to lose an answer that has been paid for.
    """
    if not usage:
        return None
    try:
        given = int(usage["input_tokens"] if "input_tokens" in usage else usage["prompt_tokens"])
        made = int(usage.get("output_tokens") or usage.get("completion_tokens") or 0)
        return Usage(
            input_tokens=given, output_tokens=made, total_tokens=int(usage.get("total_tokens") or given + made)
        )
    except NONSENSE:
        return None
