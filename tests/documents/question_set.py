"""Questions to real documents: what a figure for the quality of the search is taken from."""

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class QuestionSet:
    """``answered`` names for each question the manual and the page, from 1, that answers it."""

    name: str
    packages: str  # Debian's, which ship the manuals
    manuals: Mapping[str, Path]
    answered: tuple[tuple[str, int, str], ...]
    unanswered: tuple[str, ...]
    near_the_subject: tuple[str, ...] = ()

    @property
    def missing(self) -> str | None:
        """Why it cannot be asked on this machine; None where it can."""
        absent = [str(path) for path in self.manuals.values() if not path.exists()]
        return f"Debian's packages {self.packages} are not installed: {', '.join(absent)}" if absent else None

    def content(self, name: str) -> bytes:
        data = self.manuals[name].read_bytes()
        return gzip.decompress(data) if name.endswith(".gz") else data
