"""previous_response_id: a conversation goes on from what we have on record of it."""

from typing import Any, Final

from api.openai.encoding.items import to_previous_items
from api.openai.errors import BadParameter, ConversationTooLong, PreviousResponseNotFound
from api.openai.snapshot import find_snapshot
from jobs.errors import JobNotFound
from jobs.kinds.response import ResponseTask
from jobs.states import State
from jobs.storage.store import Store

_PARAM: Final = "previous_response_id"


def with_previous_items(store: Store, task: ResponseTask, previous_id: str, max_bytes: int) -> ResponseTask:
    """The task with all that was said before its input, of which each response keeps a copy.

    Raises PreviousResponseNotFound, also for one that has expired or was not stored, BadParameter for one without an
    answer,
    and ConversationTooLong.
    """
    full_task = task.model_copy(update={"previous_items": _previous_items(store, previous_id)})
    if len(full_task.model_dump_json(exclude_defaults=True).encode()) > max_bytes:
        raise ConversationTooLong(f"the conversation has more than {max_bytes} bytes", param=_PARAM)
    return full_task


def _previous_items(store: Store, previous_id: str) -> tuple[dict[str, Any], ...]:
    try:
        previous = find_snapshot(store, previous_id, _PARAM)
    except JobNotFound:
        raise PreviousResponseNotFound(
            "no such previous response: it has expired, or never was", param=_PARAM
        ) from None
    state = previous.record.state
    if state not in (State.COMPLETED, State.INCOMPLETE):
        raise BadParameter(f"a response that is {state} has no answer to go on from", param=_PARAM)
    return tuple(to_previous_items(previous))
