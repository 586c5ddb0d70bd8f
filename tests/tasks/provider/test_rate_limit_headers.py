"""The rate limits in the headers of real providers, and which of them are limits per minute."""

from datetime import UTC, datetime

import httpx2
import pytest

from tasks.provider.rate_limit_headers import RateLimit, RateLimits, read_rate_limits

NOW = datetime(2026, 11, 29, 12, 0, 0, tzinfo=UTC)
DATE = "Sun, 29 Nov 2026 12:00:00 GMT"


def read(headers):
    return read_rate_limits(httpx2.Headers([(name.encode(), value.encode()) for name, value in headers.items()]), NOW)


def standard(limit, remaining, reset, unit="requests", **more):
    values = {"limit": limit, "remaining": remaining, "reset": reset, **more}
    return {f"x-ratelimit-{name}-{unit}": str(value) for name, value in values.items() if value is not None}


OPENAI = {
    "x-ratelimit-limit-requests": "5000",
    "x-ratelimit-limit-tokens": "160000",
    "x-ratelimit-limit-tokens_usage_based": "160000",
    "x-ratelimit-remaining-requests": "4999",
    "x-ratelimit-remaining-tokens": "159976",
    "x-ratelimit-reset-requests": "12ms",
    "x-ratelimit-reset-tokens": "9ms",
}
OPENAI_DAILY = standard(200, 199, "7m12s") | standard(40_000, 39_990, "15ms", "tokens")
GROQ = standard(14_400, 14_370, "2m59.56s") | standard(6_000, 5_400, "6s", "tokens")
AZURE = {
    "x-ratelimit-limit-requests": "9000",
    "x-ratelimit-limit-tokens": "1500000",
    "x-ratelimit-remaining-requests": "8999",
    "x-ratelimit-remaining-tokens": "745399",
    "x-ratelimit-renewalperiod-requests": "10",
    "x-ratelimit-renewalperiod-tokens": "60",
    "x-ratelimit-reset-requests": "0",
    "x-ratelimit-reset-tokens": "30",
}
AZURE_429 = standard(5, 4, 12, renewalperiod=60) | standard(5_000, 0, 0, "tokens", renewalperiod=60)
AZURE_RESPONSES = {
    "x-ratelimit-limit-tokens": "-1",
    "x-ratelimit-remaining-tokens": "-1",
    "x-ratelimit-reset-tokens": "0",
}
ANTHROPIC = {
    "date": DATE,
    "anthropic-ratelimit-requests-limit": "50",
    "anthropic-ratelimit-requests-remaining": "45",
    "anthropic-ratelimit-requests-reset": "2026-11-29T12:00:06Z",
    "anthropic-ratelimit-tokens-limit": "40000",
    "anthropic-ratelimit-tokens-remaining": "20000",
    "anthropic-ratelimit-tokens-reset": "2026-11-29T12:00:30+00:00",
    "anthropic-ratelimit-input-tokens-limit": "30000",
}
ANTHROPIC_COMPATIBLE = {"date": DATE} | standard(50, 45, "2026-11-29T12:00:06Z")
MISTRAL = {
    "x-ratelimit-limit-req-minute": "50",
    "x-ratelimit-limit-tokens-minute": "50000",
    "x-ratelimit-remaining-req-minute": "49",
    "x-ratelimit-remaining-tokens-minute": "47300",
    "x-ratelimit-limit-tokens-month": "4000000",
    "x-ratelimit-tokens-query-cost": "1300",
}
MISTRAL_NO_PLAN = {"x-ratelimit-limit-req-minute": "0"}
CEREBRAS = {
    "x-ratelimit-limit-requests-day": "1000",
    "x-ratelimit-remaining-requests-day": "750",
    "x-ratelimit-reset-requests-day": "3600",
    "x-ratelimit-limit-tokens-minute": "60000",
    "x-ratelimit-remaining-tokens-minute": "50",
    "x-ratelimit-reset-tokens-minute": "26.5",
}
TOGETHER = {"x-ratelimit-limit": "10", "x-ratelimit-remaining": "9", "x-ratelimit-reset": "0.1"}
OPENROUTER = {"x-ratelimit-limit": "50", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "1788220800000"}
FIREWORKS = {"x-ratelimit-limit-tokens-prompt": "3600000", "x-ratelimit-limit-tokens-generated": "36000"}
LITELLM_KEY = standard(100, 58, None) | standard(20_000, 10_000, None, "tokens")
LITELLM_UNKNOWN = standard("None", "None", "None")


@pytest.mark.parametrize(
    ("headers", "requests", "tokens"),
    [
        (OPENAI, 5_000, 160_000),
        (OPENAI_DAILY, None, 40_000),
        (GROQ, None, 6_000),
        (AZURE, None, 1_500_000),
        (AZURE_429, 5, 5_000),
        (ANTHROPIC, 50, 40_000),
        (ANTHROPIC_COMPATIBLE, 50, None),
        (MISTRAL, 50, 50_000),
        (CEREBRAS, None, 60_000),
        (LITELLM_KEY, None, None),
    ],
)
def test_a_limit_is_taken_as_per_minute_only_if_it_is(headers, requests, tokens):
    """A limit per day that counts as one per minute would let almost everything through, or nothing."""
    limits = read(headers)

    assert (limits.requests and limits.requests.per_minute(), limits.tokens and limits.tokens.per_minute()) == (
        requests,
        tokens,
    )


@pytest.mark.parametrize(
    "headers",
    [{}, {"date": DATE}, AZURE_RESPONSES, MISTRAL_NO_PLAN, TOGETHER, OPENROUTER, FIREWORKS, LITELLM_UNKNOWN],
)
def test_headers_without_a_usable_limit_report_nothing(headers):
    """vLLM and Gemini send none. Limits without a unit, and placeholders for no limit, are not believed."""
    assert read(headers) is None


def test_all_that_a_response_reports_is_kept():
    """The remaining part matters even if the period of the limit is not known."""
    assert read(GROQ) == RateLimits(
        requests=RateLimit(limit=14_400, remaining=14_370, reset_seconds=179.56),
        tokens=RateLimit(limit=6_000, remaining=5_400, reset_seconds=6.0),
    )
    assert read(AZURE).tokens == RateLimit(1_500_000, 745_399, 30.0, period_seconds=60.0)
    assert read(LITELLM_KEY).requests == RateLimit(limit=100, remaining=58)


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [
        ("6m0s", 360),
        ("120ms", 0.12),
        ("1.5s", 1.5),
        ("2m59.56s", 179.56),
        ("1h0m30.5s", 3_630.5),
        ("850µs", 0.00085),
        ("0s", 0),
        ("0", 0),
        ("7", 7),
        ("26.5", 26.5),
        ("2026-11-29T12:00:30Z", 30),
        ("2026-11-29T07:00:30.500-05:00", 30.5),
        ("2026-11-29T11:59:00Z", 0),
        ("1795953630", 30),
        ("1795953630000", 30),
        ("", None),
        ("-5", None),
        ("soon", None),
        ("5 s", None),
        ("1e5", None),
        ("nan", None),
        ("٣s", None),
        ("2026-11-29T12:00:30", None),
        ("9" * 15, None),
        ("1s" * 1_000, None),
        ("1.2.3s", None),
    ],
)
def test_every_form_of_a_reset_is_read(reset, seconds):
    """Durations of Go, seconds, times since 1970 and RFC 3339. Nothing else breaks or is guessed."""
    limits = read(standard(100, 50, reset))

    assert limits.requests.reset_seconds == (None if seconds is None else pytest.approx(seconds))


def test_the_providers_own_clock_tells_how_far_off_a_reset_is():
    """Our clock may be minutes off; the response's date is not."""
    headers = standard(50, 45, "2026-11-29T12:00:06Z") | {"date": "Sun, 29 Nov 2026 11:59:56 GMT"}

    assert read(headers).requests.reset_seconds == 10
    assert read(headers | {"date": "nonsense"}).requests.reset_seconds == 6
    assert read(headers | {"date": "Sun, 29 Nov 2026 11:59:56 -0000"}).requests.reset_seconds == 10


@pytest.mark.parametrize(
    ("remaining", "reset", "per_minute"),
    [
        (99, "600ms", 100),  # a minute exactly
        (0, "1m0s", 100),
        (99, "1.2s", 100),  # rounded up to two minutes
        (99, "299ms", None),
        (99, "1.21s", None),
        (100, "0s", None),  # nothing is used: no period can be inferred
        (120, "1s", None),
        (None, "1s", None),
    ],
)
def test_the_period_is_inferred_from_the_part_that_is_used(remaining, reset, per_minute):
    """Between 30 s and 120 s it counts as a minute."""
    assert read(standard(100, remaining, reset)).requests.per_minute() == per_minute
