"""Submits a task of /v1/responses with its conversation, marked if only a target with /responses can serve it."""

from collections.abc import Callable

from api.openai.previous_items import history_loader
from api.openai.submission import Submission, submit
from api.schemas.requests import SubmitHeaders
from api.services import services
from jobs.kinds.response import ResponseTask
from jobs.place import model_of
from openai_format.chat_request import needs_responses


def submit_response(task: ResponseTask, headers: SubmitHeaders) -> Submission:
    """Raises what ``submit`` and ``history_loader`` raise."""
    if task.previous_response_id is None:
        task = _with_api_need(task)
    return submit(task, "resp", headers, is_background=task.background, load_history=_history_loader(task))


def _history_loader(task: ResponseTask) -> Callable[[], ResponseTask] | None:
    """As ``history_loader``; it also marks a conversation that needs /responses."""
    load = history_loader(task)
    return None if load is None else lambda: _with_api_need(load())


def _with_api_need(task: ResponseTask) -> ResponseTask:
    """The task, marked if it needs /responses. Raises ModelNotFound."""
    settings = services().settings
    registry = settings.providers
    if not registry.has_chat_only_target(registry.pool_of(model_of(task, settings) or "")):
        return task
    is_needed = needs_responses(task.body, task.previous_items)
    return task.model_copy(update={"responses_only": True}) if is_needed else task
