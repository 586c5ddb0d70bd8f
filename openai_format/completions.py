"""The objects `chat.completion` and `chat.completion.chunk`, and their parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from openai.types.chat import ChatCompletionMessageFunctionToolCallParam as ToolCall

    from openai_format.types import JsonObject


def completion_head(completion_id: str, created: int, model: str | None, *, is_chunk: bool = False) -> JsonObject:
    """The fields that a completion and each of its chunks have in common. ``created`` is in Unix seconds."""
    kind = "chat.completion.chunk" if is_chunk else "chat.completion"
    return {"id": completion_id, "object": kind, "created": created, "model": model}


def assistant_message(content: str | None, tool_calls: Iterable[Mapping[str, Any]] = ()) -> JsonObject:
    """The message of a choice. Without calls it has no ``tool_calls``: the client expects the field to be absent."""
    message: JsonObject = {"role": "assistant", "content": content, "refusal": None}
    calls = list(tool_calls)
    return message | {"tool_calls": calls} if calls else message


def choice(message: JsonObject, finish_reason: str | None, index: int = 0) -> JsonObject:
    return {"index": index, "message": message, "logprobs": None, "finish_reason": finish_reason}


def chunk_choice(delta: Mapping[str, Any], finish_reason: str | None = None, index: int = 0) -> JsonObject:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def read_choices(payload: JsonObject, begun: Collection[int] = ()) -> list[JsonObject]:
    """The choices of a chunk, each with a delta.

    Some providers send a message or a text in place of the delta, also in the answer to a streamed call. A message of
    a choice that has ``begun`` repeats what the deltas contained, so only its finish reason counts.
    """
    choices: list[JsonObject] = payload.get("choices") or []
    if all(entry.get("delta") is not None for entry in choices):
        return choices
    return [_with_delta(entry, begun) for entry in choices]


def choice_number(entry: JsonObject) -> int:
    return int(entry.get("index") or 0)


def _with_delta(entry: JsonObject, begun: Collection[int]) -> JsonObject:
    delta = entry.get("delta")
    if delta is None:
        message = entry.get("message") or ({"content": entry["text"]} if entry.get("text") else {})
        delta = {} if choice_number(entry) in begun else dict(message)
    return {**{name: value for name, value in entry.items() if name not in ("message", "text")}, "delta": delta}


def tool_call(call_id: str, name: str, arguments: str) -> ToolCall:
    """A function call. The arguments are the JSON that the model wrote, unchanged."""
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
