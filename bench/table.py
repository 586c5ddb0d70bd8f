"""Markdown tables of results."""

from collections.abc import Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from typing import Any, Generic, TypeVar

from bench.figures import median_of, ratio

T = TypeVar("T")


@dataclass(frozen=True)
class Table(Generic[T]):
    """``rounds`` are the results of each row, by name. The other rows are compared with the first one."""

    title: str
    rounds: Mapping[str, Sequence[T]]
    notes: Sequence[str] = ()
    skipped: Mapping[str, str] = field(default_factory=dict)

    def markdown(self) -> str:
        """The table, followed by the rows that failed and the notes."""
        lines = [f"### {self.title}", ""]
        measured = {name: median_of(results) for name, results in self.rounds.items() if results}
        if measured:
            lines += _rows(measured)
        lines += [f"- not measured: {name}: {reason}" for name, reason in self.skipped.items()]
        lines += [f"- {note}" for note in self.notes]
        return "\n".join(lines) + "\n"


def _rows(measured: Mapping[str, Any]) -> list[str]:
    reference = next(iter(measured.values()))
    columns = [
        item for item in fields(reference) if any(getattr(row, item.name) is not None for row in measured.values())
    ]
    titles = [title for item in columns for title in _titles(item)]
    lines = [_line(["", *titles]), _line(["---", *["---:"] * len(titles)])]
    for name, row in measured.items():
        cells = [
            cell for item in columns for cell in _cells(item, getattr(row, item.name), getattr(reference, item.name))
        ]
        lines.append(_line([name, *cells]))
    return lines


def _titles(item: Field[Any]) -> list[str]:
    return [item.metadata["title"], *(["x"] if item.metadata["has_ratio"] else [])]


def _cells(item: Field[Any], value: float | None, reference: float | None) -> list[str]:
    cells = [number(value, item.metadata["digits"])]
    return [*cells, _times(ratio(value, reference))] if item.metadata["has_ratio"] else cells


def number(value: float | None, digits: int) -> str:
    """A figure with its digits, or a dash."""
    return "-" if value is None else f"{value:,.{digits}f}"


def _times(value: float | None) -> str:
    """A ratio with two significant digits below 20: 0.0012, 0.34, 1.9, 27, 1,200."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 20 else f"{value:.2g}"  # noqa: PLR2004


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
