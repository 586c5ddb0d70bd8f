"""The conversation that a response continues by `previous_response_id`."""

from collections.abc import Callable
from functools import partial
from typing import Final

from api.openai.encoding import items
from api.openai.errors import BadParameter, ConversationTooLong, PreviousResponseNotFound
from api.openai.snapshot import find_snapshot
from api.services import services
from jobs.errors import JobNotFound
from jobs.kinds.response import ResponseTask
from jobs.states import State
from jobs.storage.sync_store import Store

PREVIOUS: Final = "previous_response_id"


def history_loader(task: ResponseTask) -> Callable[[], ResponseTask] | None:
    """A function that returns the task with its conversation; None if the task continues none.

    It raises what ``_with_previous_items`` raises.
    """
    if task.previous_response_id is None:
        return None
    app_services = services()
    max_bytes = app_services.settings.max_body_bytes
    return partial(_with_previous_items, app_services.store, task, task.previous_response_id, max_bytes)


def _with_previous_items(store: Store, task: ResponseTask, previous_id: str, max_bytes: int) -> ResponseTask:
    """The task with a copy of all earlier items of its conversation.

    Raises PreviousResponseNotFound, also for a response that has expired or was not stored, BadParameter for a response
    without an answer, and ConversationTooLong.
    """
    try:
        previous = find_snapshot(store, previous_id, PREVIOUS)
    except JobNotFound:
        message = "the previous response was not found: it has expired, or never existed"
        raise PreviousResponseNotFound(message, param=PREVIOUS) from None
    state = previous.record.state
    if state not in (State.COMPLETED, State.INCOMPLETE) or previous.error is not None:
        raise BadParameter(
            f"the previous response is {previous.record.status} and has no answer to continue from", param=PREVIOUS
        )
    full_task = task.model_copy(update={"previous_items": tuple(items.to_previous_items(previous))})
    if len(full_task.model_dump_json(exclude_defaults=True).encode()) > max_bytes:
        raise ConversationTooLong(f"the conversation exceeds {max_bytes} bytes", param=PREVIOUS)
    return full_task
