"""The log of the jobs that this worker puts back because it cannot run them.

Logs:
    job_put_back  needs, job_id: a warning once per reason, with the first such job; for later jobs and tries at level
                  DEBUG. needs: what this version lacks; `request`: it cannot read the request; `record`: the record
                  is damaged
"""

import logging
from typing import Final

logger = logging.getLogger(__name__)

_MAX_REASONS: Final = 1_000  # a damaged Redis must not fill the memory
_MAX_CHARS: Final = 200  # of the needs in a log line


class PutBackLog:
    """One for each worker process. During a deploy an old worker may put back the same jobs again and again."""

    def __init__(self) -> None:
        self._warned: set[tuple[str, ...]] = set()

    def add(self, job_id: str, needs: tuple[str, ...]) -> None:
        is_new = needs not in self._warned and len(self._warned) < _MAX_REASONS
        self._warned.add(needs) if is_new else None
        level = logging.WARNING if is_new else logging.DEBUG
        logger.log(level, "job_put_back needs=%s job_id=%s", ",".join(needs)[:_MAX_CHARS], job_id)
