"""The verbs: each write to a job's life, one Lua call each. Their promises stand at the head of their Lua files.

Every verb may be sent again after a lost reply: it then answers as it did, and changes nothing more.
"""

from jobs.storage.transitions import document
from jobs.storage.transitions.attempt import (
    AttemptEnd,
    FinishPrecondition,
    NotClaimed,
    PendingEvents,
    UnreadableClaim,
    append,
    claim,
    delta_event,
    fail,
    finish,
    release,
    renew,
    upstream_event,
)
from jobs.storage.transitions.create import Created, create, mark_answered
from jobs.storage.transitions.end import cancel, delete
from jobs.storage.transitions.model_list import claim_model_list_turn, save_models
from jobs.storage.transitions.recover import Priority, become_leader, refuse_submits, republish, undelivered

__all__ = [
    "AttemptEnd",
    "Created",
    "FinishPrecondition",
    "NotClaimed",
    "PendingEvents",
    "Priority",
    "UnreadableClaim",
    "append",
    "become_leader",
    "cancel",
    "claim",
    "claim_model_list_turn",
    "create",
    "delete",
    "delta_event",
    "document",
    "fail",
    "finish",
    "mark_answered",
    "refuse_submits",
    "release",
    "renew",
    "republish",
    "save_models",
    "undelivered",
    "upstream_event",
]
