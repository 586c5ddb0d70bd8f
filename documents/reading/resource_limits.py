"""Limits of the processes that parse files: time, memory, and what they may write."""

import os
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGES: Final = (_ROOT / "documents", _ROOT / "guards")  # what these processes import
_NICE: Final = 10  # answering a question has priority over an ingest


def limit_resources(memory_bytes: int, seconds: float, *, max_written_bytes: int = 0) -> None:
    """Set the limits that the system supports. Unlike the parent's timeout, they apply even when the parent is dead."""
    os.nice(_NICE)
    try:
        import resource
    except ImportError:  # no POSIX
        return
    for limit, value in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CPU, int(seconds) + 1),
        (resource.RLIMIT_FSIZE, max_written_bytes),
        (resource.RLIMIT_CORE, 0),
    ):
        hard_limit = resource.getrlimit(limit)[1]
        allowed = value if hard_limit == resource.RLIM_INFINITY else min(value, hard_limit)
        try:
            resource.setrlimit(limit, (allowed, allowed))
        except (ValueError, OSError):  # macOS refuses RLIMIT_AS
            continue
