"""previous_response_id: a conversation goes on from what we have on record of it."""

from typing import Any, Final

from api.openai.encoding.items import as_earlier
from api.openai.errors import BadParameter, ConversationTooLong, PreviousNotFound
from api.openai.snapshot import find
from jobs.errors import JobNotFound
from jobs.requests import ResponseTask
from jobs.states import State
from jobs.storage.store import Store

_PARAM: Final = "previous_response_id"


def continued(store: Store, task: ResponseTask, previous_id: str, most_bytes: int) -> ResponseTask:
    """The task with all that was said before its input, of which each response keeps a copy.

    Raises PreviousNotFound, also for one that has expired or was not stored, BadParameter for one without an answer,
    and ConversationTooLong.
    """
    whole = task.model_copy(update={"previous_items": _earlier_items(store, previous_id)})
    if len(whole.model_dump_json(exclude_defaults=True).encode()) > most_bytes:
        raise ConversationTooLong(f"the conversation has more than {most_bytes} bytes", param=_PARAM)
    return whole


def _earlier_items(store: Store, previous_id: str) -> tuple[dict[str, Any], ...]:
    try:
        previous = find(store, previous_id, _PARAM)
    except JobNotFound:
        raise PreviousNotFound("no such previous response: it has expired, or never was", param=_PARAM) from None
    state = previous.record.state
    if state not in (State.COMPLETED, State.INCOMPLETE):
        raise BadParameter(f"a response that is {state} has no answer to go on from", param=_PARAM)
    return tuple(as_earlier(previous))
