"""Items of a response and the parts of their content."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

from openai_format.types import Item, ItemStatus, JsonObject, Part, TextKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from openai.types.responses import (
        ResponseFunctionToolCallParam,
        ResponseInputTextParam,
        ResponseOutputMessageParam,
        ResponseOutputRefusalParam,
        ResponseOutputTextParam,
    )
    from openai.types.responses.response_output_message_param import Content as MessagePart
    from openai.types.responses.response_reasoning_item_param import Content as ReasoningTextPart


def new_id(prefix: str) -> str:
    return f"{prefix}_{uuid.uuid4().hex}"


def output_text_part(text: str, logprobs: Iterable[Any] = ()) -> ResponseOutputTextParam:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": list(logprobs)}


def input_text_part(text: str) -> ResponseInputTextParam:
    return {"type": "input_text", "text": text}


def refusal_part(refusal: str) -> ResponseOutputRefusalParam:
    return {"type": "refusal", "refusal": refusal}


def reasoning_text_part(text: str) -> ReasoningTextPart:
    return {"type": "reasoning_text", "text": text}


def part_of(kind: TextKind, text: str, logprobs: Iterable[Any] = ()) -> Part:
    """A part of the given kind. Only an output text has log-probabilities."""
    match kind:
        case "output_text":
            return output_text_part(text, logprobs)
        case "refusal":
            return refusal_part(text)
        case "reasoning_text":
            return reasoning_text_part(text)


def message_item(item_id: str, parts: Iterable[MessagePart], status: ItemStatus) -> ResponseOutputMessageParam:
    """The assistant's message."""
    return {"id": item_id, "type": "message", "status": status, "role": "assistant", "content": list(parts)}


def text_item(kind: TextKind, item_id: str, parts: Iterable[Part], status: ItemStatus) -> Item:
    """The item that holds parts of the given kind: a reasoning item for reasoning, a message for the others."""
    head = (
        {"type": "reasoning", "summary": []} if kind == "reasoning_text" else {"type": "message", "role": "assistant"}
    )
    return {"id": item_id, **head, "status": status, "content": list(parts)}


def reasoning_input(text: str) -> JsonObject:
    """A reasoning item for a request. It has no id, because a provider that stores nothing rejects ids."""
    return {"type": "reasoning", "summary": [], "content": [reasoning_text_part(text)]}


def function_call_item(
    item_id: str, call_id: str, name: str, arguments: str, status: ItemStatus
) -> ResponseFunctionToolCallParam:
    """A function call. The arguments are the JSON that the model wrote, unchanged."""
    return {
        "id": item_id,
        "type": "function_call",
        "status": status,
        "call_id": call_id,
        "name": name,
        "arguments": arguments,
    }


def custom_call_item(item_id: str, call_id: str, name: str, text: str, status: ItemStatus) -> JsonObject:
    """A call of a custom tool. The text is its whole input."""
    return {
        "id": item_id,
        "type": "custom_tool_call",
        "status": status,
        "call_id": call_id,
        "name": name,
        "input": text,
    }


def tool_search_item(item_id: str, call_id: str, arguments: str, status: ItemStatus) -> JsonObject:
    """A search for tools, for the client. Arguments that are no JSON object are left out."""
    try:
        fields = json.loads(arguments)
    except (ValueError, RecursionError):
        fields = {}
    return {
        "id": item_id,
        "type": "tool_search_call",
        "status": status,
        "call_id": call_id,
        "execution": "client",
        "arguments": fields if isinstance(fields, dict) else {},
    }


def input_message(role: str, content: Any) -> JsonObject:
    return {"type": "message", "role": role, "content": content}


def input_items(value: Any) -> list[JsonObject]:
    """A request's ``input`` as a list of items. A plain text becomes a user message."""
    return [{"role": "user", "content": value}] if isinstance(value, str) else list(value or ())


def with_text_as_part(item: JsonObject) -> JsonObject:
    """The item; content that is plain text becomes a list of one part."""
    content = item.get("content")
    if not isinstance(content, str):
        return item
    part = output_text_part(content) if item.get("role") == "assistant" else input_text_part(content)
    return item | {"content": [part]}


def are_valid_items(value: Any) -> bool:
    return isinstance(value, list) and all(map(is_valid_item, value))


def is_valid_item(value: Any) -> bool:
    """True if a provider's value is an object with a type, the minimum for an item."""
    return isinstance(value, dict) and isinstance(value.get("type"), str)


def is_valid_part(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("text") or "", str)


def output_text_of(output: Iterable[Item]) -> str:
    """The text of all messages of a response. Parts that are malformed are left out."""
    contents = [item.get("content") for item in output if item["type"] == "message"]
    parts = [part for content in contents if isinstance(content, list) for part in content if is_valid_part(part)]
    return "".join(part.get("text") or "" for part in parts if part.get("type") == "output_text")
