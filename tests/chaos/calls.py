"""What the model saw of each job: its calls in time, those that overlap, and how soon a broken one began again."""

import json
import urllib.request
from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class TimedCall:
    began: float
    ended: float | None
    left_early: bool

    def overlaps(self, later: "TimedCall") -> bool:
        return self.ended is None or later.began < self.ended


@dataclass(frozen=True)
class Resumption:
    """A broken call and the next one of its job. ``broken_calls``: broken calls of that job so far."""

    broke_at: float
    began_again: float
    broken_calls: int

    @property
    def seconds(self) -> float:
        return self.began_again - self.broke_at


class Calls:
    """By the key of each job's directive."""

    def __init__(self, by_key: dict[str, list[TimedCall]]) -> None:
        self._by_key = by_key

    @classmethod
    def fetch(cls, model_url: str) -> "Calls":
        with urllib.request.urlopen(model_url.removesuffix("/v1") + "/chaos/calls", timeout=10) as reply:
            rows = json.load(reply)
        by_key = defaultdict(list)
        for key, began, ended, left_early in sorted(rows, key=lambda row: row[1]):
            by_key[key].append(TimedCall(began, ended, left_early))
        return cls(by_key)

    def of(self, keys: list[str]) -> "Calls":
        return Calls({key: self._by_key.get(key, []) for key in keys})

    @property
    def total(self) -> int:
        return sum(map(len, self._by_key.values()))

    @property
    def open(self) -> int:
        return sum(call.ended is None for calls in self._by_key.values() for call in calls)

    @property
    def extra(self) -> int:
        """Calls beyond one for each job."""
        return sum(max(0, len(calls) - 1) for calls in self._by_key.values())

    @property
    def overlaps(self) -> int:
        """Calls that began while an earlier one of the same job was open."""
        return len(self.overlapping())

    def overlapping(self) -> list[str]:
        return [
            key
            for key, calls in self._by_key.items()
            for i, later in enumerate(calls)
            if any(earlier.overlaps(later) for earlier in calls[:i])
        ]

    @property
    def max_open(self) -> int:
        """The most calls that were open at one time."""
        turns = []
        for call in (call for calls in self._by_key.values() for call in calls):
            turns += [(call.began, 1), *([(call.ended, -1)] if call.ended is not None else [])]
        most = now = 0
        for _, turn in sorted(turns):
            now += turn
            most = max(most, now)
        return most

    def began_after(self, moment: float) -> list[float]:
        """When calls began, from that moment on, the first one first."""
        return sorted(call.began for calls in self._by_key.values() for call in calls if call.began >= moment)

    def ended_after(self, moment: float) -> list[float]:
        ends = (call.ended for calls in self._by_key.values() for call in calls if not call.left_early)
        return sorted(end for end in ends if end is not None and end >= moment)

    def resumptions(self) -> list[Resumption]:
        return [resumption for calls in self._by_key.values() for resumption in _find_resumptions(calls)]


def _find_resumptions(calls: list[TimedCall]) -> list[Resumption]:
    found = []
    for call, after in pairwise(calls):
        if call.left_early and call.ended is not None:
            found.append(Resumption(call.ended, after.began, len(found) + 1))
    return found
