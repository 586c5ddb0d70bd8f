"""The last log line of an attempt. With the request id it continues the web process's line about the same request.

Logs:
    job_finished     job_id, request_id, attempt, age_seconds, state, code: age_seconds is the time from the creation of
                     the job to the begin of this attempt; Celery's line has the duration of the attempt
    job_requeued     job_id, request_id, attempt, age_seconds, code: the job waits for its next attempt
    message_ignored  job_id, request_id, reason: the message led to no attempt, or the attempt has lost its lease
"""

import logging

from jobs.models import Claim
from jobs.request_id import UNKNOWN
from jobs.storage.transitions import ClaimResult, UnreadableClaim
from tasks.attempt.outcomes import NOT_SAFE, UNABLE, Finished, Outcome, Retrying, Skipped

logger = logging.getLogger(__name__)


def log_outcome(job_id: str, outcome: Outcome, claim: ClaimResult | None) -> None:
    """``claim``: None if there was none."""
    request_id, attempt = _of_claim(claim)
    match outcome:
        case Finished(state, error):
            code = error.code if error else "-"
            logger.info(
                "job_finished job_id=%s request_id=%s %s state=%s code=%s", job_id, request_id, attempt, state, code
            )
        case Retrying(error, _):
            code = error.code if error else "worker_stopping"
            logger.info("job_requeued job_id=%s request_id=%s %s code=%s", job_id, request_id, attempt, code)
        case Skipped(reason) if reason in {UNABLE, NOT_SAFE}:
            pass  # put_backs.py or claim_gate.py has logged it
        case Skipped(reason):
            logger.info("message_ignored job_id=%s request_id=%s reason=%s", job_id, request_id, reason)


def _of_claim(claim: ClaimResult | None) -> tuple[str, str]:
    """The request id, and the fields of the attempt."""
    if not isinstance(claim, Claim | UnreadableClaim):
        return UNKNOWN, ""
    age = f" age_seconds={claim.age_ms / 1000:.3f}" if isinstance(claim, Claim) else ""
    return claim.lease.request_id or UNKNOWN, f"attempt={claim.lease.attempt}{age}"
