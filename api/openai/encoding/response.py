"""A conversation as the object `response`. Pure."""

from typing import Any, Final

from api.openai.encoding import items
from api.openai.snapshot import JobSnapshot
from jobs.kinds.base import Conversation, PassthroughRequest
from jobs.kinds.chat import ChatTask
from jobs.kinds.response import ResponseAnswer, ResponseTask
from jobs.results import JobError
from jobs.states import State
from openai_format.types import JsonObject
from openai_format.usage import ResponseUsage, response_usage

# The fields that OpenAI always fills, with its defaults.
_DEFAULTS: Final[JsonObject] = {
    "frequency_penalty": 0.0,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "parallel_tool_calls": True,
    "presence_penalty": 0.0,
    "prompt_cache_key": None,
    "prompt_cache_retention": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": "default",
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
_TOOL_DEFAULTS: Final[JsonObject] = {"description": None, "parameters": None, "strict": None}  # of a function
_ECHOED_FIELDS: Final = frozenset({*_DEFAULTS, "prompt"})
# Fields of a provider's response that are not copied: they describe the provider's own job, or are set from ours.
_OWN_FIELDS: Final = frozenset(
    {"id", "object", "created_at", "completed_at", "status", "background", "store", "metadata", "output"}
    | {"previous_response_id", "error", "incomplete_details"}
)
_ERROR_CODES: Final = {
    "provider_rate_limited": "rate_limit_exceeded",
    "provider_rejected_request": "invalid_prompt",
}


def response_object(snapshot: JobSnapshot) -> JsonObject:
    record, request = snapshot.record, snapshot.request
    filled = {**_DEFAULTS, **_request_fields(snapshot), **_answer_fields(snapshot)}
    ended_at = record.finished_at_ms if record.state is State.COMPLETED else None
    return {
        **filled,
        "tools": [_with_defaults(tool) for tool in filled["tools"]],
        "text": {**_DEFAULTS["text"], **filled["text"]},
        "reasoning": {**_DEFAULTS["reasoning"], **filled["reasoning"]},
        "id": record.job_id,
        "object": "response",
        "created_at": snapshot.created_at,
        "completed_at": None if ended_at is None else ended_at // 1000,
        "status": record.status,
        "model": snapshot.model,
        "output": items.output(snapshot),
        "usage": usage_object(snapshot),
        "error": None if snapshot.error is None else _error(snapshot.error),
        "incomplete_details": _incomplete_details(snapshot),
        "metadata": request.metadata,
        **_storage_fields(request),
    }


def _with_defaults(tool: JsonObject) -> JsonObject:
    return {**_TOOL_DEFAULTS, **tool} if isinstance(tool, dict) and tool.get("type") == "function" else tool


def _storage_fields(request: Conversation) -> JsonObject:
    """A conversation from another API is shown as a stored background response."""
    if not isinstance(request, ResponseTask):
        return {"background": True, "store": True, "previous_response_id": None}
    previous = request.previous_response_id
    return {"background": request.background, "store": request.store, "previous_response_id": previous}


def pending_response(snapshot: JobSnapshot, status: State) -> JsonObject:
    """The response before it has an answer, for the first events of a stream."""
    response = response_object(JobSnapshot(snapshot.record, snapshot.request))
    return response | {
        "model": snapshot.request.model,  # the record's model changes to the provider's name for it at the end
        "status": status.value,
        "completed_at": None,
        "usage": None,
        "incomplete_details": None,
    }


def _request_fields(snapshot: JobSnapshot) -> JsonObject:
    request = snapshot.request
    if isinstance(request, ChatTask):
        limit = request.max_output_tokens
        fields = {"instructions": request.system, "temperature": request.temperature, "max_output_tokens": limit}
        return _filled(fields)
    body = request.body if isinstance(request, PassthroughRequest) else {}
    return _filled({name: value for name, value in body.items() if name in _ECHOED_FIELDS})


def _filled(fields: JsonObject) -> JsonObject:
    """The fields that have a value of the type of their default; a provider rejects the others, or sent them wrong."""
    return {name: value for name, value in fields.items() if value is not None and _is_like_default(name, value)}


def _is_like_default(name: str, value: Any) -> bool:
    default = {} if name == "prompt" else _DEFAULTS.get(name)  # the prompt of a text completion is a text
    return not isinstance(default, dict | list) or isinstance(value, type(default))


def _answer_fields(snapshot: JobSnapshot) -> JsonObject:
    body = snapshot.answer.body if isinstance(snapshot.answer, ResponseAnswer) else None
    return _filled({name: value for name, value in (body or {}).items() if name not in _OWN_FIELDS})


def usage_object(snapshot: JobSnapshot) -> JsonObject | ResponseUsage | None:
    """The provider's own object if it sent one, else the counts of the answer or the record, which may be estimates."""
    body = snapshot.answer.body if isinstance(snapshot.answer, ResponseAnswer) else None
    reported: JsonObject | None = (body or {}).get("usage")
    usage = snapshot.answer.usage if snapshot.answer else None
    if usage is None and snapshot.record.is_final:
        usage = snapshot.record.usage
    return reported or (response_usage(usage, is_estimated=usage.estimated) if usage else None)


def _error(error: JobError) -> JsonObject:
    """The provider's error; else ours with OpenAI's equivalent code, or `server_error`, and our code in the message.

    LiteLLM and vLLM send the HTTP status as the code, which is none of a response's codes.
    """
    own_code = _ERROR_CODES.get(error.code, "server_error")
    if error.provider and error.provider.message:
        code = error.provider.code
        return {"code": own_code if code is None or code.isdigit() else code, "message": error.provider.message}
    return {"code": own_code, "message": f"{error.message} ({error.code})"}


def _incomplete_details(snapshot: JobSnapshot) -> JsonObject | None:
    if snapshot.record.state is not State.INCOMPLETE:
        return None
    is_filtered = snapshot.answer is not None and snapshot.answer.finish_reason == "content_filter"
    return {"reason": "content_filter" if is_filtered else "max_output_tokens"}
