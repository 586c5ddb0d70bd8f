"""A conversation as the object `response`. Pure."""

from typing import Any, Final

from api.openai.encoding import items
from api.openai.snapshot import Seen
from jobs.requests import ChatTask, Conversation, ResponseTask
from jobs.results import JobError, ResponseAnswer, Usage
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
_ECHOED: Final = frozenset({*_DEFAULTS, "max_tool_calls", "prompt", "prompt_cache_key", "safety_identifier", "user"})
# Of what a provider that speaks Responses says: what it knows of our job and what we say ourselves.
_OURS: Final = frozenset(
    {"id", "object", "created_at", "completed_at", "status", "background", "store", "metadata", "output"}
    | {"previous_response_id", "error", "incomplete_details"}
)
_ERROR_CODES: Final = {
    "provider_rate_limited": "rate_limit_exceeded",
    "provider_rejected_request": "invalid_prompt",
}


def response_object(seen: Seen) -> dict[str, Any]:
    record, request = seen.record, seen.request
    ended_at = record.finished_at_ms if record.state is State.COMPLETED else None
    return {
        **_DEFAULTS,
        **_asked(seen),
        **_answered(seen),
        "id": record.job_id,
        "object": "response",
        "created_at": seen.created_at,
        "completed_at": None if ended_at is None else ended_at // 1000,
        "status": record.state.value,
        "model": seen.model,
        "output": items.output(seen),
        "usage": _usage(seen),
        "error": None if seen.error is None else _error(seen.error),
        "incomplete_details": _incomplete_details(seen),
        "metadata": request.metadata,
        **_kept(request),
    }


def _kept(request: Conversation) -> dict[str, Any]:
    """What the native API submits runs in the background, and is stored."""
    if not isinstance(request, ResponseTask):
        return {"background": True, "store": True, "previous_response_id": None}
    previous = request.previous_response_id
    return {"background": request.background, "store": request.store, "previous_response_id": previous}


def unanswered(seen: Seen, status: State) -> dict[str, Any]:
    """The same before there is an answer: what the first events of a stream hold."""
    response = response_object(Seen(seen.record, seen.request))
    return response | {
        "model": seen.request.model,  # the record's becomes the provider's in the end
        "status": status.value,
        "completed_at": None,
        "usage": None,
        "incomplete_details": None,
    }


def _asked(seen: Seen) -> dict[str, Any]:
    request = seen.request
    if isinstance(request, ChatTask):
        limit = request.max_output_tokens
        return {"instructions": request.system, "temperature": request.temperature, "max_output_tokens": limit}
    return {name: value for name, value in request.body.items() if name in _ECHOED and value is not None}


def _answered(seen: Seen) -> dict[str, Any]:
    body = seen.answer.body if isinstance(seen.answer, ResponseAnswer) else None
    return {name: value for name, value in (body or {}).items() if name not in _OURS}


def _usage(seen: Seen) -> dict[str, Any] | None:
    """As the provider said it; else as we know it, or estimate it."""
    body = seen.answer.body if isinstance(seen.answer, ResponseAnswer) else None
    said: dict[str, Any] | None = (body or {}).get("usage")
    counted = seen.answer.usage if seen.answer else None
    if counted is None and seen.record.state.is_final:
        counted = seen.record.usage
    return said or (usage_object(counted) if counted else None)


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


def _incomplete_details(seen: Seen) -> dict[str, Any] | None:
    if seen.record.state is not State.INCOMPLETE:
        return None
    is_filtered = seen.answer is not None and seen.answer.finish_reason == "content_filter"
    return {"reason": "content_filter" if is_filtered else "max_output_tokens"}
