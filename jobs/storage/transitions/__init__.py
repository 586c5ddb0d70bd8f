"""The transitions: each write to a job or a document, as one command. The headers of the Lua files state the promises.

Every transition may be sent again after a lost reply: it then returns the same reply and changes nothing more.
"""

from jobs.storage.transitions import document
from jobs.storage.transitions.attempt import (
    AttemptEnd,
    Behind,
    ClaimResult,
    FinishPrecondition,
    NotClaimed,
    PendingEvents,
    Unable,
    UnreadableClaim,
    append,
    claim,
    delta_event,
    fail,
    finish,
    put_back,
    release,
    renew,
    upstream_event,
)
from jobs.storage.transitions.cancel_and_delete import cancel, delete
from jobs.storage.transitions.create import Created, create, mark_answered
from jobs.storage.transitions.maintenance import (
    become_leader,
    claim_model_list_turn,
    count_ghosts,
    ghosts,
    note_primary,
    put_off,
    refuse_submits,
    remember_item,
    republish,
    save_models,
    undelivered,
)

__all__ = [
    "AttemptEnd",
    "Behind",
    "ClaimResult",
    "Created",
    "FinishPrecondition",
    "NotClaimed",
    "PendingEvents",
    "Unable",
    "UnreadableClaim",
    "append",
    "become_leader",
    "cancel",
    "claim",
    "claim_model_list_turn",
    "count_ghosts",
    "create",
    "delete",
    "delta_event",
    "document",
    "fail",
    "finish",
    "ghosts",
    "mark_answered",
    "note_primary",
    "put_back",
    "put_off",
    "refuse_submits",
    "release",
    "remember_item",
    "renew",
    "republish",
    "save_models",
    "undelivered",
    "upstream_event",
]
