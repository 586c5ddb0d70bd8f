"""Instructions to the offline model, written into a prompt: ``[[offline key=value key="two words" ...]]``.

The answer
    ``delay=S``       seconds before the first token or the answer, or before a status
    ``interval=S``    seconds between tokens; an answer that is not streamed takes as long
    ``tokens=N``      an answer of N numbered words, ``w0 w1 ...``
    ``say=TEXT``      exactly that text
    ``call=N``        calls of the first N functions that the request offers, once per message of the user
    ``filter=1``      the answer ends with finish_reason ``content_filter``
A fault, at most one
    ``status=CODE``   an error in OpenAI's format; optionally ``retry_after=S`` and ``code=NAME`` (``error.code``)
    ``stall=N``       nothing more after N tokens, until the client disconnects
    ``cut=N``         the connection is closed after N tokens, in the middle of the body
    ``reset=N``       the connection is reset after N tokens
    ``error=N``       an error in OpenAI's format after N tokens, with status 200; optionally ``code=NAME``
    ``badchunk=N``    the chunked encoding of a stream is broken after N tokens
    ``end=N``         a stream ends normally after N tokens, but without final chunk and ``[DONE]``
    ``garbage=KIND``  status 200 with 1 broken JSON, 2 JSON that is not an answer, 3 an HTML page
    ``framing=KIND``  the whole answer in an unusual form, see `framing.py`
How often
    ``times=K``       only the first K calls of the same key get the fault; later calls are answered
    ``key=NAME``      the key under which calls are counted; default: the whole prompt
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from local.offline_model.framing import Framing

_FAULTS = (
    "status",
    "stall_after",
    "cut_after",
    "reset_after",
    "end_after",
    "error_after",
    "bad_chunk_after",
    "garbage",
    "framing",
)
_FAULT_KEYS = "status, stall, cut, reset, end, error, badchunk, garbage and framing"
MAX_TOKENS = 100_000
MAX_SECONDS = 3_600.0
MAX_TIMES = 1_000_000
MAX_CALLS = 16
MAX_NAME_CHARS = 200
STATUSES = (400, 401, 403, 404, 408, 409, 429, 500, 502, 503)

_DIRECTIVE_START = re.compile(r"\[\[offline(?=[\s\]])")
# Possessive, so that an unclosed directive before two megabytes of text costs a single pass.
_DIRECTIVE = re.compile(r"\[\[offline(?=[\s\]])((?:\"[^\"]*\"|[^\"\]]|\](?!\]))*+)\]\]")
_PAIR = re.compile(r"\s*(?P<key>[^\s=\"]+)=(?:\"(?P<quoted>[^\"]*)\"|(?P<bare>[^\s\"]+))(?=\s|$)")


class DirectiveError(ValueError):
    """The prompt's directive is invalid. The message gives the reason to the prompt's author."""


@dataclass(frozen=True, slots=True)
class Directive:
    """The instructions of one prompt. The defaults give the plain answer without delay."""

    delay_seconds: float = 0.0
    interval_seconds: float = 0.0
    tokens: int | None = None
    say: str | None = None
    calls: int = 0
    is_filtered: bool = False
    status: int | None = None
    retry_after_seconds: float | None = None
    code: str | None = None
    stall_after: int | None = None
    cut_after: int | None = None
    end_after: int | None = None
    garbage: int | None = None
    reset_after: int | None = None
    error_after: int | None = None
    bad_chunk_after: int | None = None
    framing: Framing | None = None
    times: int | None = None
    key: str | None = None

    def for_call(self, number: int) -> "Directive":
        """The instructions for one call of the key, numbered from 1. Faults end after `times` calls."""
        if self.times is None or number <= self.times:
            return self
        no_faults: dict[str, Any] = dict.fromkeys(_FAULTS)
        return replace(self, **no_faults)

    @property
    def fault_after(self) -> int | None:
        """The number of tokens after which a stream fails; None if it does not."""
        breaks = (getattr(self, name) for name in _FAULTS if name.endswith("_after"))
        return next((after for after in breaks if after is not None), None)

    @property
    def faults(self) -> int:
        return sum(getattr(self, name) is not None for name in _FAULTS)


def parse_directive(text: str) -> tuple[Directive, str]:
    """The directive in the text, and the text without it.

    Raises DirectiveError if the directive is not closed, appears twice, has an unknown key or an invalid value, or
    contradicts itself. Otherwise a test that misspells its fault would pass without the fault.
    """
    openings = len(_DIRECTIVE_START.findall(text))
    if openings == 0:
        return Directive(), text
    match = _DIRECTIVE.search(text)
    if match is None:
        raise DirectiveError('the directive is not closed: write [[offline key=value key="two words"]]')
    if openings > 1:
        raise DirectiveError("the prompt has more than one directive")
    directive = _parse(match.group(1))
    _validate(directive)
    return directive, text[: match.start()] + text[match.end() :]


def _parse(body: str) -> Directive:
    values: dict[str, Any] = {}
    position, body = 0, body.rstrip()
    while position < len(body):
        pair = _PAIR.match(body, position)
        if pair is None:
            raise DirectiveError('cannot read the directive: write key=value or key="two words"')
        name, value = _parse_pair(pair)
        if name in values:
            raise DirectiveError(f"{pair['key']} appears twice")
        values[name] = value
        position = pair.end()
    return Directive(**values)


def _parse_pair(pair: re.Match[str]) -> tuple[str, object]:
    """The attribute's name and its value."""
    key = pair["key"]
    if key not in _KEYS:
        raise DirectiveError(f"unknown key {key[:MAX_NAME_CHARS]!r}; known: {', '.join(_KEYS)}")
    name, parse = _KEYS[key]
    text = pair["quoted"] if pair["quoted"] is not None else pair["bare"]
    try:
        return name, parse(text)
    except ValueError as error:
        raise DirectiveError(f"{key}={text[:MAX_NAME_CHARS]!r}: {error}") from None


def _validate(directive: Directive) -> None:
    rules = (
        (directive.faults <= 1, f"only one of {_FAULT_KEYS}"),
        (directive.tokens is None or directive.say is None, "only one of tokens and say"),
        (directive.times is None or directive.faults == 1, f"times needs one of {_FAULT_KEYS}"),
        (directive.retry_after_seconds is None or directive.status is not None, "retry_after needs status"),
        (
            directive.code is None or directive.status is not None or directive.error_after is not None,
            "code needs status or error",
        ),
    )
    for is_satisfied, message in rules:
        if not is_satisfied:
            raise DirectiveError(message)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= MAX_SECONDS:
        raise ValueError(f"must be seconds from 0 to {MAX_SECONDS:.0f}")
    return seconds


def _integer_between(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        # The number of digits is limited, because int() raises its own message above 4,300 digits.
        if not re.fullmatch(r"[0-9]{1,9}", text) or not low <= int(text) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(text)

    return parse


def _status(text: str) -> int:
    if text not in map(str, STATUSES):
        raise ValueError(f"must be one of {', '.join(map(str, STATUSES))}")
    return int(text)


def _framing(text: str) -> Framing:
    try:
        return Framing(text)
    except ValueError:
        raise ValueError(f"must be one of {', '.join(Framing)}") from None


def _flag(text: str) -> bool:
    if text not in ("0", "1"):
        raise ValueError("must be 0 or 1")
    return text == "1"


def _name(text: str) -> str:
    if not 1 <= len(text) <= MAX_NAME_CHARS:
        raise ValueError(f"must have 1 to {MAX_NAME_CHARS} characters")
    return text


_KEYS: dict[str, tuple[str, Callable[[str], object]]] = {
    "delay": ("delay_seconds", _seconds),
    "interval": ("interval_seconds", _seconds),
    "tokens": ("tokens", _integer_between(0, MAX_TOKENS)),
    "say": ("say", str),
    "call": ("calls", _integer_between(0, MAX_CALLS)),
    "filter": ("is_filtered", _flag),
    "status": ("status", _status),
    "retry_after": ("retry_after_seconds", _seconds),
    "code": ("code", _name),
    "stall": ("stall_after", _integer_between(0, MAX_TOKENS)),
    "cut": ("cut_after", _integer_between(0, MAX_TOKENS)),
    "end": ("end_after", _integer_between(0, MAX_TOKENS)),
    "garbage": ("garbage", _integer_between(1, 3)),
    "reset": ("reset_after", _integer_between(0, MAX_TOKENS)),
    "error": ("error_after", _integer_between(0, MAX_TOKENS)),
    "badchunk": ("bad_chunk_after", _integer_between(0, MAX_TOKENS)),
    "framing": ("framing", _framing),
    "times": ("times", _integer_between(0, MAX_TIMES)),
    "key": ("key", _name),
}
