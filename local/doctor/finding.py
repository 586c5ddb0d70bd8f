"""What a check finds."""

from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from jobs.settings import Settings


class Level(StrEnum):
    OK = "ok"
    NOTE = "note"  # nothing is wrong, but people should know
    WARNING = "warning"  # it works, and may fail later
    PROBLEM = "problem"  # it does not work, or loses jobs


class Finding(NamedTuple):
    """One result of one check. ``message`` has problem and remedy in one line, and contains no secret."""

    check: str
    level: Level
    message: str


Check: TypeAlias = Callable[[Settings], Iterator[Finding]]
