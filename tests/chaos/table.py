"""The table that a run prints."""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.chaos.environment import percentile
from tests.chaos.verdict import Verdict

_COLUMNS = (
    "fault",
    "pool",
    "jobs",
    "lost",
    "stuck",
    "duplicate outcomes",
    "concurrent duplicate runs",
    "extra provider calls",
    "recovery p50/p95/max s",
    "verdict",
)


@dataclass(frozen=True)
class ResultRow:
    """One row of the table. ``skipped`` is the reason why it was not run."""

    title: str
    pool: str
    verdict: Verdict | None = None
    recovery_seconds: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()
    skipped: str = ""

    @property
    def is_met(self) -> bool:
        return bool(self.skipped) or (self.verdict is not None and self.verdict.is_met)

    def cells(self) -> list[str]:
        """The texts of the columns."""
        if self.verdict is None:
            return [self.title, self.pool, *["-"] * 7, f"skipped: {self.skipped}"]
        verdict = self.verdict
        counts = [verdict.jobs, verdict.lost, verdict.stuck, verdict.doubles, _overlaps(verdict), verdict.extra_calls]
        outcome = "met" if verdict.is_met else "**missed**: " + ("; ".join(verdict.failures) or "see the counts")
        return [
            self.title,
            self.pool,
            *map(str, counts),
            _times(self.recovery_seconds),
            "; ".join([outcome, *self.notes]),
        ]


def header() -> str:
    """The head of the Markdown table."""
    return _markdown(_COLUMNS) + "\n" + _markdown(["---"] * len(_COLUMNS))


def format_row(result_row: ResultRow) -> str:
    """One line of the Markdown table."""
    return _markdown(result_row.cells())


def _overlaps(verdict: Verdict) -> str:
    if not verdict.unseen_overlaps:
        return str(verdict.overlaps)
    return f"{verdict.overlaps} (+{verdict.unseen_overlaps} unseen, refused)"


def _times(recovery_seconds: tuple[float, ...]) -> str:
    if not recovery_seconds:
        return "-"
    values = list(recovery_seconds)
    return f"{percentile(values, 0.5):.1f}/{percentile(values, 0.95):.1f}/{max(values):.1f}"


def _markdown(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "/").replace("\n", " ") for cell in cells) + " |"
