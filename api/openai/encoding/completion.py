"""A conversation as the object `chat.completion`. Pure."""

from typing import Any

from api.openai.encoding.items import output
from api.openai.snapshot import JobSnapshot
from jobs.kinds.completion import CompletionAnswer
from jobs.results import Usage


def completion_object(snapshot: JobSnapshot) -> dict[str, Any]:
    """As the provider said it, under our id; from the text alone where it did not end."""
    answer = snapshot.answer
    body = (answer.body if isinstance(answer, CompletionAnswer) else None) or {"choices": [_choice(snapshot)]}
    usage = answer.usage if answer else None
    return {
        "usage": usage_object(usage) if usage else None,
        **body,
        "id": snapshot.record.job_id,
        "object": "chat.completion",
        "created": snapshot.created_at,
        "model": snapshot.model,
        "metadata": snapshot.request.metadata,
    }


def _choice(snapshot: JobSnapshot) -> dict[str, Any]:
    """Of what is no chat completion."""
    answer = snapshot.answer
    message: dict[str, Any] = {"role": "assistant", "content": answer.text if answer else None, "refusal": None}
    reason = answer.finish_reason if answer else None
    if calls := [_tool_call(item) for item in output(snapshot) if item["type"] == "function_call"]:
        message["tool_calls"] = calls
        reason = "tool_calls" if reason == "stop" else reason
    return {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}


def _tool_call(item: dict[str, Any]) -> dict[str, Any]:
    function = {"name": item.get("name"), "arguments": item.get("arguments")}
    return {"id": item.get("call_id"), "type": "function", "function": function}


def usage_object(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        **({"estimated": True} if usage.estimated else {}),
    }
