"""How long things take and how often they happen, counted by each process in memory.

Every few seconds a process adds its counts to one hash in Redis, which GET /metrics reads. So every web process shows
the same figures, for all processes together, also those that have ended. A process that is killed loses the counts of
these seconds. What must be exact is counted by the scripts that write a job: jobs.queries.totals.

A count's key in the hash is the metric, the values of its labels, and for a histogram the bucket, separated by tabs. A
bucket holds only its own observations: exposition adds those of the smaller ones.

Logs:
    metrics_not_added  error: Redis is away or refuses the counts; they are sent again
"""

import logging
import threading
import uuid
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from jobs.repeated_problem import RepeatedProblem

logger = logging.getLogger(__name__)

SEPARATOR: Final = "\t"
SUM: Final = "sum"  # in place of a bucket: the sum of all observations, in microseconds
INFINITE: Final = "+Inf"
OTHER: Final = "other"  # the value of a label that is not in its list: callers choose some, and a series is never freed
FLUSH_SECONDS: Final = 5.0  # between two additions of a process

_CALL_BUCKETS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_JOB_BUCKETS: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 600, 1800)  # the default total time is 600


@dataclass(frozen=True)
class Metric:
    """A counter, or a histogram of seconds if it has buckets (their upper bounds)."""

    name: str  # without the prefix of this program
    description: str
    labels: tuple[str, ...]
    buckets: tuple[float, ...] = ()


JOB_WAIT: Final = Metric("job_wait_seconds", "Time from submit to the first attempt.", ("kind",), _JOB_BUCKETS)
FIRST_OUTPUT: Final = Metric(
    "first_token_seconds", "Time from the start of an attempt to its first output.", ("kind", "model"), _JOB_BUCKETS
)
ATTEMPT: Final = Metric(
    "attempt_seconds",
    "Duration of attempts. outcome: the final state, `requeued`, or `lost` if the attempt lost its lease.",
    ("kind", "outcome"),
    _JOB_BUCKETS,
)
ERRORS: Final = Metric("attempt_errors", "Attempts that ended with an error, by its code.", ("code",))
TOKENS: Final = Metric("tokens", "Tokens of attempts that have ended, as in their usage.", ("model", "direction"))
HTTP: Final = Metric(
    "http_request_seconds", "Time until the response starts.", ("route", "method", "status"), _CALL_BUCKETS
)
METRICS: Final = (JOB_WAIT, FIRST_OUTPUT, ATTEMPT, ERRORS, TOKENS, HTTP)


class MetricCounts:
    """The counts of one process since it last added them to those in Redis. May be used from any thread."""

    def __init__(self) -> None:
        self.process = uuid.uuid4().hex  # identifies its additions: one that is sent twice counts once
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def count(self, metric: Metric, labels: tuple[str, ...], amount: int = 1) -> None:
        with self._lock:
            self._counts[SEPARATOR.join((metric.name, *labels))] += amount

    def observe(self, metric: Metric, labels: tuple[str, ...], seconds: float) -> None:
        """Count one observation of a histogram."""
        position = bisect_left(metric.buckets, seconds)
        bucket = str(metric.buckets[position]) if position < len(metric.buckets) else INFINITE
        key = SEPARATOR.join((metric.name, *labels, ""))
        with self._lock:
            self._counts[key + bucket] += 1
            self._counts[key + SUM] += round(seconds * 1e6)

    def take(self) -> Mapping[str, int]:
        """All counts, which start again at zero."""
        with self._lock:
            taken, self._counts = self._counts, Counter()
        return taken


class Additions:
    """The additions of one process, in order: one that could not be sent is sent again as it was."""

    def __init__(self, counts: MetricCounts) -> None:
        self._counts = counts
        self._number = 0
        self._unsent: Mapping[str, int] = {}
        self._problem = RepeatedProblem()

    def next(self) -> "Addition | None":
        """What to send now; None if nothing was counted."""
        if not self._unsent:
            self._unsent = self._counts.take()
            self._number += 1
        return Addition(self._counts.process, self._number, self._unsent) if self._unsent else None

    def sent(self) -> None:
        self._unsent = {}
        self._problem.end()

    def failed(self, error: Exception) -> None:
        """``next`` returns the same again."""
        if self._problem.is_new(type(error).__name__):
            logger.warning("metrics_not_added error=%s", type(error).__name__)


@dataclass(frozen=True)
class Addition:
    process: str
    number: int  # of this process' additions, from 1
    counts: Mapping[str, int]
