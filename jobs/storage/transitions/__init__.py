"""The verbs: each write to a job's life, one Lua call each. Their promises stand at the head of their Lua files.

Every verb may be sent again after a lost reply: it then answers as it did, and changes nothing more.
"""

from jobs.storage.transitions import document
from jobs.storage.transitions.attempt import (
    AttemptEnd,
    Ender,
    NotClaimed,
    Tail,
    Unreadable,
    append,
    claim,
    delta,
    fail,
    finish,
    release,
    renew,
    upstream,
)
from jobs.storage.transitions.create import Created, answered, create
from jobs.storage.transitions.end import cancel, delete
from jobs.storage.transitions.model_list import note_models, take_models_turn
from jobs.storage.transitions.recover import Lane, refuse_submits, ring, take_duty, unrung

__all__ = [
    "AttemptEnd",
    "Created",
    "Ender",
    "Lane",
    "NotClaimed",
    "Tail",
    "Unreadable",
    "answered",
    "append",
    "cancel",
    "claim",
    "create",
    "delete",
    "delta",
    "document",
    "fail",
    "finish",
    "note_models",
    "refuse_submits",
    "release",
    "renew",
    "ring",
    "take_duty",
    "take_models_turn",
    "unrung",
    "upstream",
]
