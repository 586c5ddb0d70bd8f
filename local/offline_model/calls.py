"""Counts of calls received, open and abandoned by the client, for tests that check the provider's side."""

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

MAX_KEYS = 10_000


@dataclass(slots=True)
class CallCounts:
    """`closed_early` counts disconnects before the answer was complete. Times are Unix seconds."""

    calls: int = 0
    open: int = 0
    closed_early: int = 0
    last_closed_early_at: float | None = None


@dataclass(slots=True)
class TrackedCall:
    """One request in progress."""

    number: int  # among the calls of its key, from 1
    is_finished: bool = False  # the answer was sent, or the server aborted it: a disconnect is expected

    def finish(self) -> None:
        self.is_finished = True


class CallLog:
    """Counts for the `max_keys` most recently used keys. For one event loop; not thread-safe."""

    def __init__(self, max_keys: int = MAX_KEYS) -> None:
        self._max_keys = max_keys
        self.reset()

    def reset(self) -> None:
        """Set all counts to zero. A call that is still open is no longer counted."""
        self._total = CallCounts()
        self._by_key: OrderedDict[str, CallCounts] = OrderedDict()

    @contextmanager
    def track(self, key: str) -> Iterator[TrackedCall]:
        """Count one call for the duration of the block. A disconnect of the client aborts the block."""
        affected_counts = (self._total, self._counts(key))
        for counts in affected_counts:
            counts.calls += 1
            counts.open += 1
        call = TrackedCall(number=affected_counts[1].calls)
        try:
            yield call
        except (asyncio.CancelledError, ConnectionError):
            if not call.is_finished:
                _count_early_close(affected_counts)
            raise
        finally:
            for counts in affected_counts:
                counts.open -= 1

    def report(self) -> dict[str, Any]:
        """The body of ``GET /offline/calls``."""
        return {
            "total": self._total.calls,
            "open": self._total.open,
            "closed_early": self._total.closed_early,
            "by_key": {key: asdict(counts) for key, counts in self._by_key.items()},
        }

    def _counts(self, key: str) -> CallCounts:
        counts = self._by_key.setdefault(key, CallCounts())
        self._by_key.move_to_end(key)
        if len(self._by_key) > self._max_keys:
            self._by_key.popitem(last=False)
        return counts


def default_key(prompt: str) -> str:
    """The key for a prompt without one: its hash, since everyone on this machine can read the counts."""
    return "sha256:" + hashlib.sha256(prompt.encode()).hexdigest()


def _count_early_close(affected_counts: tuple[CallCounts, ...]) -> None:
    now = time.time()
    for counts in affected_counts:
        counts.closed_early += 1
        counts.last_closed_early_at = now
