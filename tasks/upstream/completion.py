"""A chat completion: chunks pass as they came, and are put together to the whole that a caller without stream reads."""

from collections.abc import Iterable
from typing import Any, Final

from tasks.provider_errors import stream_cut
from tasks.upstream.piece import Halves, Piece, read_model, read_text, read_usage

_OURS: Final = frozenset({"id", "object", "created", "usage", "obfuscation"})  # of a chunk: said anew, or once
_HEAD: Final = frozenset({"model", "service_tier", "system_fingerprint"})  # told by the first chunk
_SAID_ONCE: Final = frozenset({"role", "id", "type", "name"})  # some providers repeat them in each chunk


class CompletionReader:
    is_over = False

    def __init__(self) -> None:
        self._halves = Halves()
        self._body: dict[str, Any] = {}
        self._choices: dict[int, dict[str, Any]] = {}

    def read(self, said: Any) -> Iterable[Piece]:
        is_first = not self._body
        chunk = {name: value for name, value in said.items() if name not in _OURS and value is not None}
        usage, choices = read_usage(said.get("usage")), chunk["choices"]
        self._body |= {name: value for name, value in chunk.items() if name != "choices"} | {"choices": []}
        if usage:
            self._body["usage"] = said["usage"]
        for choice in choices:
            _fold(self._choices, choice)
        first: dict[str, Any] = next((choice for choice in choices if choice.get("index", 0) == 0), {})
        text = self._halves.join(read_text((first.get("delta") or {}).get("content")) or "")
        is_told = not choices or (not is_first and _is_plain(chunk))
        reason = read_text(first.get("finish_reason"))
        return (Piece(text, reason, usage, read_model(said), None if is_told else chunk),)

    def end(self) -> Iterable[Piece]:
        if not self._choices or not all(choice["finish_reason"] for choice in self._choices.values()):
            raise stream_cut()
        choices = [self._choices[index] for index in sorted(self._choices)]
        for choice in choices:
            _drop_indexes(choice["message"].get("tool_calls", []))
        return (Piece(body=self._body | {"choices": choices}),)


def _is_plain(chunk: dict[str, Any]) -> bool:
    """Nothing but text for the first choice."""
    choices = chunk["choices"]
    if len(choices) != 1 or chunk.keys() - _HEAD - {"choices"}:
        return False
    said = {name for name, value in choices[0].items() if value is not None}
    delta = {name for name, value in (choices[0].get("delta") or {}).items() if value not in (None, "", [])}
    return choices[0].get("index", 0) == 0 and said <= {"index", "delta"} and delta <= {"content", "role"}


def _fold(choices: dict[int, dict[str, Any]], choice: dict[str, Any]) -> None:
    index = int(choice.get("index", 0))
    whole = choices.setdefault(
        index,
        {
            "index": index,
            "message": {"role": "assistant", "content": None, "refusal": None},
            "logprobs": None,
            "finish_reason": None,
        },
    )
    merge(whole["message"], choice.get("delta") or {})
    merge(whole, {name: value for name, value in choice.items() if name not in ("index", "delta")})


def merge(whole: dict[str, Any], part: dict[str, Any]) -> None:
    """Add a delta to what there is: texts and lists grow, what bears an index goes to its place."""
    for name, value in part.items():
        known = whole.get(name)
        if value is None:
            continue
        if isinstance(value, str) and isinstance(known, str) and name not in _SAID_ONCE:
            whole[name] = known + value
        elif isinstance(value, list):
            whole[name] = known or []
            _extend(whole[name], value)
        elif isinstance(value, dict):
            whole[name] = known or {}
            merge(whole[name], value)
        elif not (known and name in _SAID_ONCE):
            whole[name] = value


def _extend(whole: list[Any], parts: list[Any]) -> None:
    for part in parts:
        index = part.get("index") if isinstance(part, dict) else None
        if index is None:
            whole.append(part)
            continue
        place = next((known for known in whole if known.get("index") == index), None)
        if place is None:
            whole.append(place := {})
        merge(place, part)


def _drop_indexes(calls: list[dict[str, Any]]) -> None:
    """They only told in a stream which call a piece belongs to."""
    for call in calls:
        call.pop("index", None)
