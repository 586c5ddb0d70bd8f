"""The conversation that a response continues by `previous_response_id`."""

from collections.abc import Callable
from functools import partial
from typing import Final

from api.http.embedded_files import bytes_without_files
from api.openai.encoding import items
from api.openai.errors import BadParameter, ConversationTooLong, PreviousResponseNotFound
from api.openai.snapshot import find_snapshot
from api.services import CallerServices, services
from jobs.errors import JobNotFound
from jobs.kinds.response import ResponseTask
from jobs.settings import Settings
from jobs.states import State

PREVIOUS: Final = "previous_response_id"


def history_loader(task: ResponseTask) -> Callable[[], ResponseTask] | None:
    """A function that returns the task with its conversation; None if the task continues none.

    It raises what ``_with_previous_items`` raises.
    """
    if task.previous_response_id is None:
        return None
    app_services = services()
    return partial(_with_previous_items, app_services, task, task.previous_response_id)


def _with_previous_items(app_services: CallerServices, task: ResponseTask, previous_id: str) -> ResponseTask:
    """The task with a copy of all earlier items of its conversation.

    Raises PreviousResponseNotFound, also for a response that has expired or was not stored, BadParameter for a response
    without an answer, and ConversationTooLong.
    """
    try:
        previous = find_snapshot(app_services.store, previous_id, PREVIOUS)
    except JobNotFound:
        message = "the previous response was not found: it has expired, or never existed"
        raise PreviousResponseNotFound(message, param=PREVIOUS) from None
    state = previous.record.state
    if state not in (State.COMPLETED, State.INCOMPLETE) or previous.error is not None:
        raise BadParameter(
            f"the previous response is {previous.record.status} and has no answer to continue from", param=PREVIOUS
        )
    full_task = task.model_copy(update={"previous_items": tuple(items.to_previous_items(previous))})
    _check_size(full_task.model_dump_json(exclude_defaults=True).encode(), app_services.settings)
    return full_task


def _check_size(conversation: bytes, settings: Settings) -> None:
    """A conversation may be as large as a body. Raises ConversationTooLong."""
    max_bytes = settings.max_body_bytes
    if len(conversation) > max_bytes + settings.max_body_files_bytes:
        raise ConversationTooLong("the images and files of the conversation are too large", param=PREVIOUS)
    if len(conversation) > max_bytes and bytes_without_files(conversation) > max_bytes:
        raise ConversationTooLong(
            f"the conversation exceeds {max_bytes} bytes, not counting images and files", param=PREVIOUS
        )
