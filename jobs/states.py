"""The states of a job and the legal moves between them: one table, which a test checks the Lua scripts against.

(none) --create--> queued --claim--> in_progress --finish--> completed | incomplete | failed
                     ^  |                 |  |
                     |  |                 |  +--cancel--> cancelled
                     |  +--cancel--> cancelled
                     +-----release--------+
"""

from enum import StrEnum


class State(StrEnum):
    """The state of a job, in OpenAI's words. Celery's states appear only in Celery's own API."""

    QUEUED = "queued"  # stored; waits for a worker or for the time of its next attempt
    IN_PROGRESS = "in_progress"  # one worker holds the lease and may write
    COMPLETED = "completed"  # the answer is complete
    INCOMPLETE = "incomplete"  # the answer was cut short by a length limit or a content filter
    FAILED = "failed"  # there is no answer; the error contains the reason
    CANCELLED = "cancelled"  # a caller or a time limit cancelled it; partial text is kept

    @property
    def is_final(self) -> bool:
        return self in FINAL_STATES


FINAL_STATES = frozenset({State.COMPLETED, State.INCOMPLETE, State.FAILED, State.CANCELLED})

RETRYABLE_STATES = FINAL_STATES - {State.COMPLETED}  # a retry is a new job: a job never leaves a final state

TRANSITIONS: dict[str, frozenset[tuple[State | None, State]]] = {
    "create": frozenset({(None, State.QUEUED)}),
    "claim": frozenset({(State.QUEUED, State.IN_PROGRESS)}),
    "release": frozenset({(State.IN_PROGRESS, State.QUEUED)}),
    "finish": frozenset(
        {
            (State.IN_PROGRESS, State.COMPLETED),
            (State.IN_PROGRESS, State.INCOMPLETE),
            (State.IN_PROGRESS, State.FAILED),
            (State.QUEUED, State.FAILED),  # by recovery: a time limit has passed
        }
    ),
    "cancel": frozenset({(State.QUEUED, State.CANCELLED), (State.IN_PROGRESS, State.CANCELLED)}),
}
