"""The states of a job and the legal moves between them: one table, which the Lua verbs obey and a test holds.

(none) --create--> queued --claim--> in_progress --finish--> completed | incomplete | failed
                     ^  |                 |  |
                     |  |                 |  +--cancel--> cancelled
                     |  +--cancel--> cancelled
                     +-----release--------+
"""

from enum import StrEnum


class State(StrEnum):
    """OpenAI's words; Celery's appear only where Celery is spoken to."""

    QUEUED = "queued"  # written down; waits for a worker, or for the time of its next attempt
    IN_PROGRESS = "in_progress"  # one worker holds the lease and may write
    COMPLETED = "completed"  # the answer is whole
    INCOMPLETE = "incomplete"  # the answer was cut by a limit of the provider: length or content filter
    FAILED = "failed"  # no answer; the error says why
    CANCELLED = "cancelled"  # somebody asked for it; partial text is kept

    @property
    def is_final(self) -> bool:
        return self in FINAL_STATES


FINAL_STATES = frozenset({State.COMPLETED, State.INCOMPLETE, State.FAILED, State.CANCELLED})

RETRYABLE_STATES = FINAL_STATES - {State.COMPLETED}  # a retry is a new job: a final state is never left

TRANSITIONS: dict[str, frozenset[tuple[State | None, State]]] = {
    "create": frozenset({(None, State.QUEUED)}),
    "claim": frozenset({(State.QUEUED, State.IN_PROGRESS)}),
    "release": frozenset({(State.IN_PROGRESS, State.QUEUED)}),
    "finish": frozenset(
        {
            (State.IN_PROGRESS, State.COMPLETED),
            (State.IN_PROGRESS, State.INCOMPLETE),
            (State.IN_PROGRESS, State.FAILED),
            (State.QUEUED, State.FAILED),  # by recovery: its deadline passed
        }
    ),
    "cancel": frozenset({(State.QUEUED, State.CANCELLED), (State.IN_PROGRESS, State.CANCELLED)}),
}
