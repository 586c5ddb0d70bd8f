"""Results and their arithmetic: figures of several rounds become one, and each a ratio to the reference."""

import statistics
from collections.abc import Sequence
from dataclasses import field, fields, replace
from typing import Any, TypeVar

T = TypeVar("T")


def column(title: str, digits: int = 1, *, has_ratio: bool = False) -> Any:
    """A field of a result that is a column of its table. None is shown as a dash: not measured, or none there."""
    return field(default=None, metadata={"title": title, "digits": digits, "has_ratio": has_ratio})


def median_of(rounds: Sequence[T]) -> T:
    """Field by field: the figures of one row need not all come from the same round."""
    values = {}
    for item in fields(rounds[0]):  # type: ignore[arg-type]
        measured = [getattr(result, item.name) for result in rounds]
        known = [value for value in measured if value is not None]
        values[item.name] = statistics.median(known) if known else None
    return replace(rounds[0], **values)  # type: ignore[type-var]


def percentile(values: Sequence[float], fraction: float) -> float:
    """The nearest rank: a value that was measured, never one between two."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * fraction))]


def ratio(value: float | None, reference: float | None) -> float | None:
    """How many times the reference; None where either is unknown or the reference is nought."""
    if value is None or not reference:
        return None
    return value / reference
