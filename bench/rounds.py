"""Measures every system in turn, in several rounds, so that other load on the machine affects all alike."""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from bench.plan import Plan
from bench.systems import NotInstalled, System
from bench.table import Table

T = TypeVar("T")


def run_rounds(
    title: str, plan: Plan, measurements: Mapping[str, Callable[[Plan], T]], notes: Sequence[str] = ()
) -> Table[T]:
    """A table of all rows. A row that fails is not measured again and is listed with the reason."""
    rounds: dict[str, list[T]] = {}
    skipped: dict[str, str] = {}
    selected = select_names(plan.systems, list(measurements))
    for number in range(plan.rounds):
        for name, measure in measurements.items():
            if name in selected and name not in skipped:
                progress(f"{title}, round {number + 1} of {plan.rounds}: {name}")
                try:
                    rounds.setdefault(name, []).append(measure(plan))
                except NotInstalled as error:
                    skipped[name] = str(error)
                except (AssertionError, EOFError, OSError, RuntimeError) as error:  # a start, a wait or a call failed
                    skipped[name] = _first_line(error)
    return Table(title, rounds, notes, skipped)


def for_systems(systems: Iterable[System], measure: Callable[[System, Plan], T]) -> dict[str, Callable[[Plan], T]]:
    """The measurement of each system, by the system's name."""
    return {system.name: partial(measure, system) for system in systems}


def select_names(parts: Sequence[str], names: Sequence[str]) -> set[str]:
    """The selected names: the name that equals a part, otherwise those that contain it. No parts select all names."""
    if not parts:
        return set(names)
    return {name for part in parts for name in names if (name == part if part in names else part in name)}


def _first_line(error: Exception) -> str:
    """The first line of the error. The whole text, with the output of processes, goes to standard error."""
    progress(str(error))
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0][:200]}"


def progress(text: str) -> None:
    """Print to standard error. The tables go to standard output."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201
