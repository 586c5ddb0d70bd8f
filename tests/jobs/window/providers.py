"""Providers in virtual time: they admit or refuse calls as real ones do."""

import random
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from jobs.storage.transitions.governor import Fault

# ruff: noqa: ARG002  # each provider uses what it needs of a call


@dataclass(frozen=True)
class Call:
    """What the provider answers. ``headers``: its limits as observe_limits takes them."""

    fault: Fault | None = None
    retry_after_seconds: float | None = None
    headers: dict[str, Any] | None = None
    used_tokens: int | None = None


@dataclass
class Provider:
    """Admits every call, and keeps the times of all calls, in ms."""

    admitted: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)

    def call(self, target: str, now_ms: float, chance: random.Random) -> Call:
        refusal = self.refusal(target, now_ms)
        if refusal is None:
            self.admitted.append(now_ms)
            return self.answer(target, now_ms, chance)
        self.refused.append(now_ms)
        return refusal

    def refusal(self, target: str, now_ms: float) -> Call | None:
        return None

    def answer(self, target: str, now_ms: float, chance: random.Random) -> Call:
        return Call()


@dataclass
class SlidingMinute(Provider):
    """At most ``limit`` calls in any 60 s. ``retry_after``: the seconds that it always gives; ``is_silent``: none."""

    limit: int = 60
    retry_after: float | None = None  # None: until the oldest call is a minute old
    states_limits: bool = False
    is_silent: bool = False
    window: deque[float] = field(default_factory=deque)

    def refusal(self, target: str, now_ms: float) -> Call | None:
        while self.window and self.window[0] <= now_ms - 60_000:
            self.window.popleft()
        if len(self.window) < self.limit:
            self.window.append(now_ms)
            return None
        if self.is_silent:
            return Call("rate_limited")
        wait = self.retry_after or (self.window[0] + 60_000 - now_ms) / 1000
        return Call("rate_limited", wait, self._headers())

    def answer(self, target: str, now_ms: float, chance: random.Random) -> Call:
        return Call(headers=self._headers())

    def _headers(self) -> dict[str, Any] | None:
        if not self.states_limits:
            return None
        remaining = self.limit - len(self.window)
        return {
            "requests_limit": self.limit, "requests_remaining": remaining, "tokens_limit": None,
            "tokens_remaining": None,
        }  # fmt: skip


@dataclass
class TokenBucket(Provider):
    """Holds ``limit`` requests and refills one in 60 / limit s. Retry-After: until the next one is there."""

    limit: int = 60
    level: float = -1
    filled_ms: float = 0

    def refusal(self, target: str, now_ms: float) -> Call | None:
        per_ms = self.limit / 60_000
        self.level = self.limit if self.level < 0 else min(self.limit, self.level + (now_ms - self.filled_ms) * per_ms)
        self.filled_ms = now_ms
        if self.level >= 1:
            self.level -= 1
            return None
        return Call("rate_limited", (1 - self.level) / per_ms / 1000)


@dataclass
class FixedWindows(Provider):
    """At most ``limit`` calls in each window of ``window_seconds``. Retry-After: until the next window."""

    limit: int = 20
    window_seconds: float = 20
    current: int = -1
    calls: int = 0

    def refusal(self, target: str, now_ms: float) -> Call | None:
        window = int(now_ms / 1000 / self.window_seconds)
        if window != self.current:
            self.current, self.calls = window, 0
        self.calls += 1
        if self.calls <= self.limit:
            return None
        return Call("rate_limited", (window + 1) * self.window_seconds - now_ms / 1000)


@dataclass
class UsedTokens(Provider):
    """Each call uses a number of tokens in this range, which its answer states."""

    used: tuple[int, int] = (300, 700)
    used_at: list[tuple[float, int]] = field(default_factory=list)

    def answer(self, target: str, now_ms: float, chance: random.Random) -> Call:
        tokens = chance.randint(*self.used)
        self.used_at.append((now_ms, tokens))
        return Call(used_tokens=tokens)

    def most_in_any(self, seconds: float) -> int:
        ends = [at for at, _ in self.used_at]
        return max(sum(n for at, n in self.used_at if end - seconds * 1000 < at <= end) for end in ends)


@dataclass
class Outage(Provider):
    """The targets of ``down`` cannot be reached from one time to another, in ms."""

    from_ms: float = 0
    until_ms: float = 0
    down: tuple[str, ...] = ("main/m",)

    def refusal(self, target: str, now_ms: float) -> Call | None:
        is_down = target in self.down and self.from_ms <= now_ms < self.until_ms
        return Call("unavailable") if is_down else None


def most_in_any(times_ms: list[float], seconds: float) -> int:
    """The most of these times, which are in order, that lie within one such span."""
    most, first = 0, 0
    for last, time_ms in enumerate(times_ms):
        while times_ms[first] <= time_ms - seconds * 1000:
            first += 1
        most = max(most, last - first + 1)
    return most
