"""Reads the rate limits that providers send in the headers of their responses. Pure.

    OpenAI, Groq, LiteLLM  x-ratelimit-{limit,remaining,reset}-{requests,tokens}   reset: "6m0s", "120ms"
    Azure                  the same, reset in seconds, and x-ratelimit-renewalperiod-*: the period in seconds
    Anthropic              anthropic-ratelimit-{requests,tokens}-{limit,remaining,reset}   reset: RFC 3339
    Mistral                x-ratelimit-{limit,remaining}-{req,tokens}-minute
    Cerebras               x-ratelimit-{limit,remaining,reset}-{requests,tokens}-minute   reset in seconds

Together and OpenRouter send x-ratelimit-limit without a unit; vLLM and Gemini send nothing. These are not read.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, Literal, Protocol, TypeAlias

_MINUTE_SECONDS: Final = 60.0
# A period between these counts as a minute: providers round, and the numbers of one response are not from one instant.
_SHORTEST_MINUTE_SECONDS: Final = 30.0
_LONGEST_MINUTE_SECONDS: Final = 120.0
_MAX_LIMIT: Final = 10**12
_MAX_CHARS: Final = 40  # of a header's value
_NUMBER: Final = re.compile(r"[0-9]{1,15}(?:\.[0-9]+)?")
_GO_DURATION: Final = re.compile(r"(?:[0-9]{1,9}(?:\.[0-9]+)?(?:h|ms|m|s|us|µs|ns))+")
_GO_PART: Final = re.compile(r"([0-9.]+)(h|ms|m|s|us|µs|ns)")
_GO_UNITS: Final = {"h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_FIRST_EPOCH: Final = 1e9  # a larger number of seconds is a time since 1970
_FIRST_EPOCH_MS: Final = 1e12

Field: TypeAlias = Literal["limit", "remaining", "reset"]


@dataclass(frozen=True)
class _Family:
    """The names of one provider's headers: ``{}`` stands for limit, remaining or reset."""

    requests: str
    tokens: str
    period_seconds: float | None = None  # if the name states it


_FAMILIES: Final = (
    _Family("x-ratelimit-{}-requests", "x-ratelimit-{}-tokens"),
    _Family("x-ratelimit-{}-requests-minute", "x-ratelimit-{}-tokens-minute", _MINUTE_SECONDS),
    _Family("x-ratelimit-{}-req-minute", "x-ratelimit-{}-tokens-minute", _MINUTE_SECONDS),
    _Family("anthropic-ratelimit-requests-{}", "anthropic-ratelimit-tokens-{}"),
)
_PERIOD_HEADER: Final = "x-ratelimit-renewalperiod-"


@dataclass(frozen=True)
class RateLimit:
    """A limit of requests or of tokens, as one response reports it. None: it is not reported.

    ``reset_seconds`` is the time until everything is available again. ``period_seconds`` is set if the provider states
    the period of the limit.
    """

    limit: int
    remaining: int | None = None
    reset_seconds: float | None = None
    period_seconds: float | None = None

    def per_minute(self) -> int | None:
        """The limit, if its period is known to be a minute; else None. Groq's limit of requests is per day.

        If the period is not stated, it follows from how long the used part takes to become available again. A window
        of a day that is used up, and ends within two minutes, cannot be told from a minute.
        """
        period = self.period_seconds if self.period_seconds is not None else self._inferred_period()
        is_minute = period is not None and _SHORTEST_MINUTE_SECONDS <= period <= _LONGEST_MINUTE_SECONDS
        return self.limit if is_minute else None

    def _inferred_period(self) -> float | None:
        if self.remaining is None or self.reset_seconds is None or self.remaining >= self.limit:
            return None
        return self.reset_seconds * self.limit / (self.limit - self.remaining)


@dataclass(frozen=True)
class RateLimits:
    """The limits that one response reports."""

    requests: RateLimit | None
    tokens: RateLimit | None


class RateLimitObserver(Protocol):
    def observe(self, target: str, limits: RateLimits) -> None:
        """Take note of the limits of a target. Called on the event loop, for each response that reports some."""


def read_rate_limits(headers: Mapping[str, str], now: datetime) -> RateLimits | None:
    """The limits in a response's headers; None if there are none. Never raises.

    ``headers`` ignores case. ``now`` is used for times of day if the response has no ``Date``: the provider's clock
    decides, because ours may differ.
    """
    requests = tokens = None
    for family in _FAMILIES:
        requests = requests or _read(headers, family.requests, family.period_seconds, now)
        tokens = tokens or _read(headers, family.tokens, family.period_seconds, now)
    return RateLimits(requests, tokens) if requests or tokens else None


def _read(headers: Mapping[str, str], name: str, period_seconds: float | None, now: datetime) -> RateLimit | None:
    limit = _integer(headers.get(name.format("limit")))
    if not limit:  # Azure sends -1 and Mistral 0 where there is none
        return None
    unit = name.rpartition("-")[2]
    return RateLimit(
        limit=limit,
        remaining=_integer(headers.get(name.format("remaining"))),
        reset_seconds=_reset_seconds(headers.get(name.format("reset")), headers, now),
        period_seconds=period_seconds or _seconds(headers.get(_PERIOD_HEADER + unit)),
    )


def _integer(value: str | None) -> int | None:
    return int(value) if value is not None and re.fullmatch(r"[0-9]{1,12}", value) else None


def _seconds(value: str | None) -> float | None:
    return float(value) if value is not None and _NUMBER.fullmatch(value) else None


def _reset_seconds(value: str | None, headers: Mapping[str, str], now: datetime) -> float | None:
    """The time until the reset: a number of seconds, Go's form of a duration, a time since 1970, or RFC 3339."""
    if value is None or len(value) > _MAX_CHARS:
        return None
    if _GO_DURATION.fullmatch(value):
        return sum(float(number) * _GO_UNITS[unit] for number, unit in _GO_PART.findall(value))
    seconds = _seconds(value)
    if seconds is not None and seconds < _FIRST_EPOCH:
        return seconds
    reset_at = _time_of(value) if seconds is None else _epoch(seconds)
    return None if reset_at is None else max(0.0, (reset_at - _date(headers, now)).total_seconds())


def _epoch(seconds: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds / 1000 if seconds >= _FIRST_EPOCH_MS else seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _time_of(value: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(value)
    except ValueError:
        return None
    return time if time.tzinfo else None


def _date(headers: Mapping[str, str], now: datetime) -> datetime:
    try:
        date = parsedate_to_datetime(headers["date"])
    except (KeyError, ValueError, TypeError):
        return now
    return date if date.tzinfo else date.replace(tzinfo=UTC)
