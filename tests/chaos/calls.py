"""The model's record of calls: when each began and ended, overlaps, and how soon a broken call was repeated."""

import json
import urllib.request
from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class TimedCall:
    """One call of a job. Times are Unix seconds; ``ended_at`` is None while the call is open."""

    started_at: float
    ended_at: float | None
    disconnected_early: bool

    def overlaps(self, later: "TimedCall") -> bool:
        """Whether the later call began before this one ended."""
        return self.ended_at is None or later.started_at < self.ended_at


@dataclass(frozen=True)
class Resumption:
    """A broken call and the next call of its job. ``broken_calls`` counts the broken calls of the job so far."""

    broken_at: float
    resumed_at: float
    broken_calls: int

    @property
    def seconds(self) -> float:
        return self.resumed_at - self.broken_at


class Calls:
    """The calls of each job, by the key of its directive."""

    def __init__(self, by_key: dict[str, list[TimedCall]]) -> None:
        self._by_key = by_key

    @classmethod
    def fetch(cls, model_url: str) -> "Calls":
        with urllib.request.urlopen(model_url.removesuffix("/v1") + "/chaos/calls", timeout=10) as reply:
            rows = json.load(reply)
        by_key = defaultdict(list)
        for key, started_at, ended_at, disconnected_early in sorted(rows, key=lambda row: row[1]):
            by_key[key].append(TimedCall(started_at, ended_at, disconnected_early))
        return cls(by_key)

    def of(self, keys: list[str]) -> "Calls":
        return Calls({key: self._by_key.get(key, []) for key in keys})

    @property
    def total(self) -> int:
        return sum(map(len, self._by_key.values()))

    @property
    def open(self) -> int:
        return sum(call.ended_at is None for calls in self._by_key.values() for call in calls)

    @property
    def extra(self) -> int:
        """The number of calls beyond one per job."""
        return sum(max(0, len(calls) - 1) for calls in self._by_key.values())

    @property
    def overlaps(self) -> int:
        """The number of calls that began while an earlier one of the same job was open."""
        return len(self.overlapping())

    def overlapping(self) -> list[str]:
        """The keys of these jobs, once for each such call."""
        return [
            key
            for key, calls in self._by_key.items()
            for i, later in enumerate(calls)
            if any(earlier.overlaps(later) for earlier in calls[:i])
        ]

    @property
    def max_open(self) -> int:
        """The largest number of calls that were open simultaneously."""
        changes = []
        for call in (call for calls in self._by_key.values() for call in calls):
            changes += [(call.started_at, 1), *([(call.ended_at, -1)] if call.ended_at is not None else [])]
        max_calls = open_calls = 0
        for _, change in sorted(changes):
            open_calls += change
            max_calls = max(max_calls, open_calls)
        return max_calls

    def started_after(self, moment: float) -> list[float]:
        """The start times of calls that began at or after the moment, in order."""
        return sorted(call.started_at for calls in self._by_key.values() for call in calls if call.started_at >= moment)

    def ended_after(self, moment: float) -> list[float]:
        ends = (call.ended_at for calls in self._by_key.values() for call in calls if not call.disconnected_early)
        return sorted(end for end in ends if end is not None and end >= moment)

    def resumptions(self) -> list[Resumption]:
        return [resumption for calls in self._by_key.values() for resumption in _find_resumptions(calls)]


def _find_resumptions(calls: list[TimedCall]) -> list[Resumption]:
    resumptions: list[Resumption] = []
    for call, after in pairwise(calls):
        if call.disconnected_early and call.ended_at is not None:
            resumptions.append(Resumption(call.ended_at, after.started_at, len(resumptions) + 1))
    return resumptions
