"""The one table that a run prints."""

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
    "double outcomes",
    "concurrent double runs",
    "extra provider calls",
    "time back p50/p95/max s",
    "verdict",
)


@dataclass(frozen=True)
class ResultRow:
    """One row of the table. ``skipped`` tells why it was not run."""

    title: str
    pool: str
    verdict: Verdict | None = None
    back: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()
    skipped: str = ""

    @property
    def is_met(self) -> bool:
        return bool(self.skipped) or (self.verdict is not None and self.verdict.is_met)

    def cells(self) -> list[str]:
        if self.verdict is None:
            return [self.title, self.pool, *["-"] * 7, f"skipped: {self.skipped}"]
        verdict = self.verdict
        counts = [verdict.jobs, verdict.lost, verdict.stuck, verdict.doubles, _overlaps(verdict), verdict.extra_calls]
        word = "held" if verdict.is_met else "**missed**: " + ("; ".join(verdict.misses) or "see the counts")
        return [self.title, self.pool, *map(str, counts), _times(self.back), "; ".join([word, *self.notes])]


def header() -> str:
    return _markdown(_COLUMNS) + "\n" + _markdown(["---"] * len(_COLUMNS))


def row(result_row: ResultRow) -> str:
    return _markdown(result_row.cells())


def _overlaps(verdict: Verdict) -> str:
    if not verdict.unseen_overlaps:
        return str(verdict.overlaps)
    return f"{verdict.overlaps} (+{verdict.unseen_overlaps} unseen, refused)"


def _times(back: tuple[float, ...]) -> str:
    if not back:
        return "-"
    values = list(back)
    return f"{percentile(values, 0.5):.1f}/{percentile(values, 0.95):.1f}/{max(values):.1f}"


def _markdown(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "/").replace("\n", " ") for cell in cells) + " |"
