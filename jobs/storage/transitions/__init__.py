"""The transitions: each write to a job or a document, as one command. The headers of the Lua files state the promises.

Every transition may be sent again after a lost reply: it then returns the same reply and changes nothing more.
"""

from jobs.storage.transitions import document
from jobs.storage.transitions.append import (
    Behind,
    PendingEvents,
    append,
    delta_event,
    section_event,
    sources_event,
    upstream_event,
)
from jobs.storage.transitions.cancel_and_delete import cancel, delete
from jobs.storage.transitions.claim_and_renew import (
    ClaimResult,
    NotClaimed,
    Unable,
    UnreadableClaim,
    claim,
    renew,
)
from jobs.storage.transitions.create import Created, create, mark_answered
from jobs.storage.transitions.finish import FinishPrecondition, fail, finish
from jobs.storage.transitions.governor import (
    AfterFault,
    CallTurn,
    Fault,
    begin_call,
    configure_targets,
    end_call,
    note_fault,
    note_output,
    observe_limits,
)
from jobs.storage.transitions.lines import audit_queue, dispatch, set_tenant_weight, take_outbox
from jobs.storage.transitions.maintenance import (
    audit_sizes,
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
from jobs.storage.transitions.metrics import add_counts
from jobs.storage.transitions.release import AttemptEnd, put_back, release

__all__ = [
    "AfterFault",
    "AttemptEnd",
    "Behind",
    "CallTurn",
    "ClaimResult",
    "Created",
    "Fault",
    "FinishPrecondition",
    "NotClaimed",
    "PendingEvents",
    "Unable",
    "UnreadableClaim",
    "add_counts",
    "append",
    "audit_queue",
    "audit_sizes",
    "become_leader",
    "begin_call",
    "cancel",
    "claim",
    "claim_model_list_turn",
    "configure_targets",
    "count_ghosts",
    "create",
    "delete",
    "delta_event",
    "dispatch",
    "document",
    "end_call",
    "fail",
    "finish",
    "ghosts",
    "mark_answered",
    "note_fault",
    "note_output",
    "note_primary",
    "observe_limits",
    "put_back",
    "put_off",
    "refuse_submits",
    "release",
    "remember_item",
    "renew",
    "republish",
    "save_models",
    "section_event",
    "set_tenant_weight",
    "sources_event",
    "take_outbox",
    "undelivered",
    "upstream_event",
]
