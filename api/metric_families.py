"""The figures in the form of Prometheus. Pure: everything has been read."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family

from jobs.metrics import INFINITE, METRICS, SEPARATOR, SUM, Metric
from jobs.model_labels import ModelLabels
from jobs.provider_states import TargetState
from jobs.queue_stats import Stats
from jobs.states import FINAL_STATES
from jobs.version import VERSION

PREFIX: Final = "chatqueue_"
_CREATED: Final = "created"
_GHOSTS: Final = "ghosts"
_AUTH_FAILURES: Final = "auth_failures"
_MICROSECONDS: Final = 1e6
_Rows: TypeAlias = Iterable[tuple[tuple[str, ...], float | None]]  # values of the labels, and the figure; None: unknown


def families(
    stats: Stats,
    totals: Mapping[tuple[str, str], int],
    targets: Iterable[TargetState],
    counts: Mapping[str, int],
    models: ModelLabels,
) -> Iterator[Family]:
    """All figures. ``totals`` are by event and kind of job, ``counts`` as jobs.metrics describes them."""
    yield _gauge("build_info", "The version that answers; always 1.", ("version",), [((VERSION,), 1)])
    yield from _queue(stats, models)
    yield from _workers(stats)
    yield from _totals(totals)
    yield from _targets([target for target in targets if models.has_target(target.name)])
    yield from _counted(counts)


def _queue(stats: Stats, models: ModelLabels) -> Iterator[Family]:
    by_state = [((state,), float(count)) for state, count in stats.counts.items()]
    yield _gauge("jobs", "Stored jobs by state.", ("state",), by_state)
    waiting: Counter[tuple[str, ...]] = Counter()
    for pool in stats.pools:
        waiting[models.of(pool.pool), pool.lane, pool.waiting_for] += pool.queued
    yield _gauge("waiting_jobs", "Jobs that wait in lines.", ("model", "lane", "waiting_for"), waiting.items())
    for name, description, value in (
        (
            "waiting_for_retry_jobs",
            "Queued jobs that wait for the time of their next attempt.",
            stats.waiting_for_retry,
        ),
        (
            "oldest_queued_seconds",
            "Age of the oldest queued job; 0 if none is queued.",
            stats.oldest_queued_seconds or 0,
        ),
        ("queued_bytes", "Size of the requests of all jobs that have not ended.", stats.queued_bytes),
        ("queued_bytes_limit", "Above it, submits get 429.", stats.max_queued_bytes),
    ):
        yield _gauge(name, description, (), [((), float(value))])


def _workers(stats: Stats) -> Iterator[Family]:
    taking = [worker for worker in stats.workers if worker.takes_jobs]
    slots = sum(worker.slots or 0 for worker in taking)
    free = sum(worker.free_slots or 0 for worker in taking)
    yield _gauge("workers", "Workers with a heartbeat.", (), [((), float(len(stats.workers)))])
    yield _gauge("workers_taking_jobs", "Workers that take jobs.", (), [((), float(len(taking)))])
    yield _gauge("worker_slots", "Slots of the workers that take jobs.", (), [((), float(slots))])
    yield _gauge("worker_slots_busy", "Those of them that run a job.", (), [((), float(max(0, slots - free)))])


def _totals(totals: Mapping[tuple[str, str], int]) -> Iterator[Family]:
    ended, requeued = [], []
    for (event, kind), count in sorted(totals.items()):
        if event in FINAL_STATES:
            ended.append(((kind, event), float(count)))
        elif event not in (_CREATED, _GHOSTS, _AUTH_FAILURES):
            requeued.append(((kind, event), float(count)))
    created, ghosts, auth_failures = (
        sum(count for (event, _), count in totals.items() if event == name)
        for name in (_CREATED, _GHOSTS, _AUTH_FAILURES)
    )
    yield _counter("auth_failures", "Requests with a wrong API key.", (), [((), float(auth_failures))])
    yield _counter("jobs_created", "Jobs created.", (), [((), float(created))])
    yield _counter("jobs_ended", "Jobs ended, by final state.", ("kind", "state"), ended)
    description = "Attempts after which the job was queued again, by the reason: see docs/operations.md."
    yield _counter("attempts_requeued", description, ("kind", "reason"), requeued)
    yield _counter(
        "index_repairs", "Index entries without a job that maintenance has removed.", (), [((), float(ghosts))]
    )


def _targets(targets: Sequence[TargetState]) -> Iterator[Family]:
    figures: tuple[tuple[str, str, str], ...] = (
        ("provider_open", "1 if the target may be called now.", "is_open"),
        ("provider_running_calls", "Calls that run.", "running"),
        ("provider_requests_last_minute", "Requests of the last minute.", "requests_last_minute"),
        ("provider_tokens_last_minute", "Tokens of the last minute.", "tokens_last_minute"),
        ("provider_requests_per_minute_limit", "Configured or learned.", "requests_per_minute"),
        ("provider_tokens_per_minute_limit", "Configured or learned.", "tokens_per_minute"),
        ("provider_concurrency_limit", "Configured or learned.", "concurrency"),
    )
    for name, description, field in figures:
        yield _gauge(name, description, ("target",), [((target.name,), getattr(target, field)) for target in targets])


def _counted(counts: Mapping[str, int]) -> Iterator[Family]:
    series: defaultdict[str, dict[tuple[str, ...], int]] = defaultdict(dict)
    for key, count in sorted(counts.items()):
        name, *values = key.split(SEPARATOR)
        series[name][tuple(values)] = count
    for metric in METRICS:
        yield _histogram(metric, series[metric.name]) if metric.buckets else _count(metric, series[metric.name])


def _count(metric: Metric, series: Mapping[tuple[str, ...], int]) -> Family:
    rows = [(values, float(count)) for values, count in series.items() if len(values) == len(metric.labels)]
    return _counter(metric.name, metric.description, metric.labels, rows)


def _histogram(metric: Metric, series: Mapping[tuple[str, ...], int]) -> Family:
    family = HistogramMetricFamily(PREFIX + metric.name, metric.description, labels=metric.labels)
    observed: defaultdict[tuple[str, ...], dict[str, int]] = defaultdict(dict)
    for (*values, bucket), count in series.items():
        if len(values) == len(metric.labels):  # else of another version
            observed[tuple(values)][bucket] = count
    for labels, own in observed.items():
        total, cumulative = 0, []
        for bucket in (*map(str, metric.buckets), INFINITE):
            total += own.get(bucket, 0)
            cumulative.append((bucket, float(total)))
        family.add_metric(labels, cumulative, own.get(SUM, 0) / _MICROSECONDS)
    return family


def _gauge(name: str, description: str, labels: tuple[str, ...], rows: _Rows) -> Family:
    return _filled(GaugeMetricFamily(PREFIX + name, description, labels=labels), rows)


def _counter(name: str, description: str, labels: tuple[str, ...], rows: _Rows) -> Family:
    return _filled(CounterMetricFamily(PREFIX + name, description, labels=labels), rows)


def _filled(family: GaugeMetricFamily | CounterMetricFamily, rows: _Rows) -> Family:
    for values, figure in rows:
        if figure is not None:
            family.add_metric(values, figure)
    return family
