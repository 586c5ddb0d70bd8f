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
class Line:
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
        judged = self.verdict
        counts = [judged.jobs, judged.lost, judged.stuck, judged.doubles, _overlaps(judged), judged.extra_calls]
        word = "held" if judged.is_met else "**missed**: " + ("; ".join(judged.misses) or "see the counts")
        return [self.title, self.pool, *map(str, counts), _times(self.back), "; ".join([word, *self.notes])]


def header() -> str:
    return _markdown(_COLUMNS) + "\n" + _markdown(["---"] * len(_COLUMNS))


def row(line: Line) -> str:
    return _markdown(line.cells())


def _overlaps(judged: Verdict) -> str:
    if not judged.unseen_overlaps:
        return str(judged.overlaps)
    return f"{judged.overlaps} (+{judged.unseen_overlaps} unseen, refused)"


def _times(back: tuple[float, ...]) -> str:
    if not back:
        return "-"
    values = list(back)
    return f"{percentile(values, 0.5):.1f}/{percentile(values, 0.95):.1f}/{max(values):.1f}"


def _markdown(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "/").replace("\n", " ") for cell in cells) + " |"
