"""Filters the events of an attempt that repeat those of earlier attempts. Pure."""

import json
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from openai_format.types import EventObject

# Fields that two attempts with the same output need not have in common.
_UNCOMPARED: Final = frozenset({"id", "item_id", "encrypted_content", "logprobs", "status", "obfuscation"})


class OutputDiffers(Exception):
    """The attempt contradicts what was sent."""


_Key: TypeAlias = str | tuple[Any, ...]


@dataclass
class _Unit:
    """One event without ids, or a run of deltas of one text."""

    key: _Key
    pieces: list[str] = field(default_factory=list)
    text: str = ""  # the pieces joined, when the next attempt starts


class ReplayFilter:
    """Compares the events of each attempt with those of the first one that came as far."""

    def __init__(self) -> None:
        self._units: list[_Unit] = []
        self._position = 0  # the unit that the attempt repeats
        self._chars = 0  # of that unit's text that were repeated
        self._earlier_units = 0  # units of earlier attempts

    def restart(self) -> None:
        """A new attempt begins."""
        self._position = self._chars = 0
        self._earlier_units = len(self._units)
        for unit in self._units:
            unit.text = "".join(unit.pieces)
            unit.pieces = [unit.text] if unit.text else []

    @property
    def is_caught_up(self) -> bool:
        """True if the attempt has repeated all earlier events."""
        if self._position != self._earlier_units - 1:
            return self._position >= self._earlier_units
        return 0 < len(self._units[self._position].text) <= self._chars

    def new_part(self, event: EventObject) -> EventObject | None:
        """The event without a text that is repeated; None if nothing is left. Raises OutputDiffers."""
        return self._new_text(event) if isinstance(event.get("delta"), str) else self._new_event(event)

    def _new_text(self, event: EventObject) -> EventObject | None:
        key, text = _text_key(event), event["delta"]
        self._skip_repeated_text(key)
        if self._position == len(self._units):
            self._units.append(_Unit(key, [text]))
            return event
        unit, is_last = self._units[self._position], self._position == len(self._units) - 1
        known = unit.text[self._chars : self._chars + len(text)]
        if unit.key != key or not text.startswith(known):
            raise OutputDiffers
        self._chars += len(known)
        rest = text[len(known) :]
        if not rest:
            return None
        if not is_last:
            raise OutputDiffers
        unit.pieces.append(rest)
        return event if rest == text else {**event, "delta": rest} | ({"logprobs": []} if "logprobs" in event else {})

    def _skip_repeated_text(self, key: _Key | None = None) -> None:
        """Go on to the next unit after a text that is repeated completely, unless it may continue."""
        if self._position < len(self._units):
            unit = self._units[self._position]
            is_text = bool(unit.pieces)
            if is_text and unit.key != key and self._chars == len(unit.text):
                self._position, self._chars = self._position + 1, 0

    def _new_event(self, event: EventObject) -> EventObject | None:
        key = _key(event)
        self._skip_repeated_text()
        if self._position == len(self._units):
            self._units.append(_Unit(key))
            self._position += 1
            return event
        if self._units[self._position].key != key:
            raise OutputDiffers
        self._position += 1
        return None


def _text_key(event: EventObject) -> _Key:
    """The place of a text, for a delta of it."""
    return event["type"], event.get("output_index"), event.get("content_index"), event.get("summary_index")


def _key(event: EventObject) -> _Key:
    """The event without ids."""
    return json.dumps(_comparable(event), sort_keys=True)


def _comparable(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _comparable(part) for name, part in value.items() if name not in _UNCOMPARED}
    return [_comparable(part) for part in value] if isinstance(value, list) else value
