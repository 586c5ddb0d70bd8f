"""A conversation as the object `response`. Pure."""

from typing import Any, Final

from api.openai.encoding import items
from api.openai.snapshot import JobSnapshot
from jobs.kinds.base import Conversation, PassthroughRequest
from jobs.kinds.chat import ChatTask
from jobs.kinds.response import ResponseAnswer, ResponseTask
from jobs.results import JobError, Usage
from jobs.states import State

_DEFAULTS: Final[dict[str, Any]] = {
    "instructions": None,
    "max_output_tokens": None,
    "parallel_tool_calls": True,
    "reasoning": None,
    "service_tier": None,
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": None,
    "truncation": "disabled",
}
_ECHOED_FIELDS: Final = frozenset(
    {*_DEFAULTS, "max_tool_calls", "prompt", "prompt_cache_key", "safety_identifier", "user"}
)
# Of what a provider that speaks Responses says: what it knows of our job and what we say ourselves.
_OWN_FIELDS: Final = frozenset(
    {"id", "object", "created_at", "completed_at", "status", "background", "store", "metadata", "output"}
    | {"previous_response_id", "error", "incomplete_details"}
)
_ERROR_CODES: Final = {
    "provider_rate_limited": "rate_limit_exceeded",
    "provider_rejected_request": "invalid_prompt",
}


def response_object(snapshot: JobSnapshot) -> dict[str, Any]:
    record, request = snapshot.record, snapshot.request
    ended_at = record.finished_at_ms if record.state is State.COMPLETED else None
    return {
        **_DEFAULTS,
        **_request_fields(snapshot),
        **_answer_fields(snapshot),
        "id": record.job_id,
        "object": "response",
        "created_at": snapshot.created_at,
        "completed_at": None if ended_at is None else ended_at // 1000,
        "status": record.state.value,
        "model": snapshot.model,
        "output": items.output(snapshot),
        "usage": _usage(snapshot),
        "error": None if snapshot.error is None else _error(snapshot.error),
        "incomplete_details": _incomplete_details(snapshot),
        "metadata": request.metadata,
        **_storage_fields(request),
    }


def _storage_fields(request: Conversation) -> dict[str, Any]:
    """What the native API submits runs in the background, and is stored."""
    if not isinstance(request, ResponseTask):
        return {"background": True, "store": True, "previous_response_id": None}
    previous = request.previous_response_id
    return {"background": request.background, "store": request.store, "previous_response_id": previous}


def pending_response(snapshot: JobSnapshot, status: State) -> dict[str, Any]:
    """The same before there is an answer: what the first events of a stream hold."""
    response = response_object(JobSnapshot(snapshot.record, snapshot.request))
    return response | {
        "model": snapshot.request.model,  # the record's becomes the provider's in the end
        "status": status.value,
        "completed_at": None,
        "usage": None,
        "incomplete_details": None,
    }


def _request_fields(snapshot: JobSnapshot) -> dict[str, Any]:
    request = snapshot.request
    if isinstance(request, ChatTask):
        limit = request.max_output_tokens
        return {"instructions": request.system, "temperature": request.temperature, "max_output_tokens": limit}
    body = request.body if isinstance(request, PassthroughRequest) else {}
    return {name: value for name, value in body.items() if name in _ECHOED_FIELDS and value is not None}


def _answer_fields(snapshot: JobSnapshot) -> dict[str, Any]:
    body = snapshot.answer.body if isinstance(snapshot.answer, ResponseAnswer) else None
    return {name: value for name, value in (body or {}).items() if name not in _OWN_FIELDS}


def _usage(snapshot: JobSnapshot) -> dict[str, Any] | None:
    """As the provider said it; else as we know it, or estimate it."""
    body = snapshot.answer.body if isinstance(snapshot.answer, ResponseAnswer) else None
    reported: dict[str, Any] | None = (body or {}).get("usage")
    usage = snapshot.answer.usage if snapshot.answer else None
    if usage is None and snapshot.record.state.is_final:
        usage = snapshot.record.usage
    return reported or (usage_object(usage) if usage else None)


def usage_object(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.total_tokens,
        **({"estimated": True} if usage.estimated else {}),
    }


def _error(error: JobError) -> dict[str, Any]:
    """OpenAI's code where it has one for it; ours stands in the message."""
    return {"code": _ERROR_CODES.get(error.code, "server_error"), "message": f"{error.message} ({error.code})"}


def _incomplete_details(snapshot: JobSnapshot) -> dict[str, Any] | None:
    if snapshot.record.state is not State.INCOMPLETE:
        return None
    is_filtered = snapshot.answer is not None and snapshot.answer.finish_reason == "content_filter"
    return {"reason": "content_filter" if is_filtered else "max_output_tokens"}
