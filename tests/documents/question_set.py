"""Questions to real documents, from which the quality of the search is measured."""

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class QuestionSet:
    """``answered`` lists, for each question, the manual and the page (from 1) that answer it."""

    name: str
    packages: str  # the Debian packages that contain the manuals
    manuals: Mapping[str, Path]
    answered: tuple[tuple[str, int, str], ...]
    unanswered: tuple[str, ...]
    near_the_subject: tuple[str, ...] = ()

    @property
    def missing(self) -> str | None:
        """Why the questions cannot be asked on this machine; None if they can."""
        absent = [str(path) for path in self.manuals.values() if not path.exists()]
        return f"the Debian packages {self.packages} are not installed: {', '.join(absent)}" if absent else None

    def content(self, name: str) -> bytes:
        data = self.manuals[name].read_bytes()
        return gzip.decompress(data) if name.endswith(".gz") else data
