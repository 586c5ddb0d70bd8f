"""The verbs: each write to a job's life, one Lua call each. Their promises stand at the head of their Lua files.

Every verb may be sent again after a lost reply: it then answers as it did, and changes nothing more.
"""

from jobs.verbs import document
from jobs.verbs.attempt import (
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
from jobs.verbs.catalogue import note_models, take_models_turn
from jobs.verbs.create import Created, answered, create
from jobs.verbs.end import cancel, delete
from jobs.verbs.recover import Lane, refuse_submits, ring, take_duty, unrung

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
