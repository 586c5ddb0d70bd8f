"""Results and their arithmetic: the median over rounds, percentiles, and ratios to the reference row."""

import statistics
from collections.abc import Sequence
from dataclasses import field, fields, replace
from typing import Any, TypeVar

T = TypeVar("T")


def column(title: str, digits: int = 1, *, has_ratio: bool = False) -> Any:
    """A field of a result that is a column of its table. None is printed as a dash: not measured, or not applicable."""
    return field(default=None, metadata={"title": title, "digits": digits, "has_ratio": has_ratio})


def median_of(rounds: Sequence[T]) -> T:
    """The median of each field by itself: the figures of a row need not come from the same round."""
    values = {}
    for item in fields(rounds[0]):  # type: ignore[arg-type]
        measured = [getattr(result, item.name) for result in rounds]
        known = [value for value in measured if value is not None]
        values[item.name] = statistics.median(known) if known else None
    return replace(rounds[0], **values)  # type: ignore[type-var]


def percentile(values: Sequence[float], fraction: float) -> float:
    """The percentile by nearest rank: always a measured value, never interpolated."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * fraction))]


def ratio(value: float | None, reference: float | None) -> float | None:
    """The value divided by the reference; None if either is unknown or the reference is zero."""
    if value is None or not reference:
        return None
    return value / reference
