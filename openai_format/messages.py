"""Converts messages of a chat completion to items of a response, and back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from openai_format.completions import tool_call
from openai_format.errors import NotInChatFormat
from openai_format.items import input_message, reasoning_input, refusal_part
from openai_format.tools import TOOL_SEARCH, FunctionNames, Tool, custom_arguments, found_tools

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

    from openai.types.chat import ChatCompletionMessageFunctionToolCallParam as ToolCall

    from openai_format.types import Item, JsonObject, Part

_REASONING_FIELDS: Final = ("reasoning_content", "reasoning")  # neither is standard: DeepSeek's name and vLLM's
_PART_TYPES: Final = {"input_text": "text", "output_text": "text", "text": "text", "refusal": "refusal"}
_NO_TOOLS: Final = FunctionNames()


def reasoning_of(message: JsonObject) -> str:
    """The reasoning in a message or in a chunk's delta. Some providers send it under both names."""
    for name in _REASONING_FIELDS:  # a loop, because this runs for every token
        reasoning = message.get(name)
        if reasoning and isinstance(reasoning, str):
            return reasoning
    return ""


def to_items(messages: Iterable[JsonObject]) -> list[JsonObject]:
    """The messages as items. Content without a counterpart stays unchanged: the provider may accept or reject it."""
    messages = list(messages)
    calls = [call for message in messages for call in message.get("tool_calls") or ()]
    custom_ids = {call.get("id") for call in calls if call.get("custom")}
    return [item for message in messages for item in _items_of(message, custom_ids)]


def _items_of(message: JsonObject, custom_ids: Container[Any]) -> Iterator[JsonObject]:
    role = message.get("role", "user")
    content = _to_item_content(role, message.get("content"))
    if role == "tool":
        call_id = message.get("tool_call_id")
        kind = "custom_tool_call_output" if call_id in custom_ids else "function_call_output"
        yield {"type": kind, "call_id": call_id, "output": content}
        return
    if reasoning := reasoning_of(message):
        yield reasoning_input(reasoning)
    if refusal := message.get("refusal"):
        content = [*_assistant_parts(content), refusal_part(refusal)]
    if content:
        yield input_message(role, content)
    for call in message.get("tool_calls") or ():
        yield _call_item(call)


def _call_item(call: JsonObject) -> JsonObject:
    if custom := call.get("custom"):
        return {"type": "custom_tool_call", "call_id": call.get("id"), "input": "", **custom}
    function = {name: value for name, value in (call.get("function") or {}).items() if value is not None}
    return {"type": "function_call", "call_id": call.get("id"), "arguments": "", **function}


def _assistant_parts(content: Any) -> list[Any]:
    if isinstance(content, list):
        return content
    return [{"type": "output_text", "text": content, "annotations": []}] if content else []


def _to_item_content(role: str, content: Any) -> Any:
    return [_to_item_part(role, part) for part in content] if isinstance(content, list) else content or ""


def _to_item_part(role: str, part: Any) -> Any:
    match part:
        case {"type": "text", "text": text}:
            return {"type": "output_text" if role == "assistant" else "input_text", "text": text}
        case {"type": "image_url", "image_url": {"url": url, **rest}}:
            return {"type": "input_image", "image_url": url, "detail": rest.get("detail", "auto")}
        case {"type": "file", "file": dict(file)}:
            return {"type": "input_file", **file}
    return part


def to_messages(instructions: str | None, items: Iterable[Item], names: FunctionNames = _NO_TOOLS) -> list[JsonObject]:
    """The items as messages, with the instructions first. ``names``: of the request's tools. Raises NotInChatFormat.

    Consecutive texts and calls of the assistant become one message, because outputs must directly follow the message
    with their calls. Reasoning goes back with the calls that it led to, because some providers refuse calls without
    it. Other reasoning is left out, because some providers refuse a message that has any.
    """
    messages: list[JsonObject] = [{"role": "system", "content": instructions}] if instructions else []
    reasoning = ""
    for item in items:
        match item.get("type", "message"):
            case "message":
                _add_message(messages, _to_message_role(item["role"]), _to_message_content(item["content"]))
                reasoning = reasoning if item["role"] == "assistant" else ""
            case "function_call" | "custom_tool_call":
                _add_call(messages, _to_tool_call(item, names), reasoning)
                reasoning = ""
            case "function_call_output" | "custom_tool_call_output":
                output = _to_message_content(item["output"])
                messages.append({"role": "tool", "tool_call_id": item["call_id"], "content": output})
            case "reasoning":
                reasoning = "".join(part["text"] for part in item.get("content") or ())
            case "additional_tools":
                pass  # ``names`` has its tools
            case "tool_search_call" if item.get("call_id"):
                _add_call(messages, _to_search_call(item, names), reasoning)
                reasoning = ""
            case "tool_search_output" if item.get("call_id"):
                found = found_tools(names, item["tools"])
                messages.append({"role": "tool", "tool_call_id": item["call_id"], "content": found})
            case other:
                raise NotInChatFormat(f"an input item of type {other}")
    return messages


def _add_message(messages: list[JsonObject], role: str, content: Any) -> None:
    if role == "assistant" and messages and "tool_calls" in messages[-1]:
        messages[-1]["content"] = _join_contents(messages[-1]["content"], content)
    else:
        messages.append({"role": role, "content": content})


def _join_contents(first: Any, second: Any) -> Any:
    if first is None:
        return second
    if isinstance(first, str) and isinstance(second, str):
        return f"{first}\n{second}"
    return _message_parts(first) + _message_parts(second)


def _message_parts(content: Any) -> list[Any]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _to_tool_call(item: Item, names: FunctionNames) -> ToolCall:
    is_custom = item["type"] == "custom_tool_call"
    tool = Tool(item["name"], item.get("namespace"), "custom" if is_custom else "function")
    arguments = custom_arguments(item["input"]) if is_custom else item["arguments"]
    return tool_call(item["call_id"], names.name_of(tool), arguments)


def _to_search_call(item: Item, names: FunctionNames) -> ToolCall:
    name = names.name_of(Tool(TOOL_SEARCH, kind=TOOL_SEARCH))
    return tool_call(item["call_id"], name, json.dumps(item["arguments"], ensure_ascii=False))


def _add_call(messages: list[JsonObject], call: ToolCall, reasoning: str) -> None:
    if not messages or messages[-1]["role"] != "assistant":
        messages.append({"role": "assistant", "content": None})
    message = messages[-1]
    message.setdefault("tool_calls", []).append(call)
    if reasoning:
        message["reasoning_content"] = message.get("reasoning_content", "") + reasoning


def _to_message_role(role: str) -> str:
    return "system" if role == "developer" else role


def _to_message_content(content: Any) -> Any:
    """A plain text if all parts are text: many servers accept nothing else."""
    if isinstance(content, str):
        return content
    parts = [_to_message_part(part) for part in content]
    if all(part["type"] == "text" for part in parts):
        return "\n".join(part["text"] for part in parts)
    return parts


def _to_message_part(part: Part) -> Part:
    kind = part["type"]
    if kind in _PART_TYPES:
        name = _PART_TYPES[kind]
        return {"type": name, name: part[name]}
    if kind == "input_image" and part.get("image_url"):
        image = {"url": part["image_url"], "detail": part.get("detail")}
        return {"type": "image_url", "image_url": {name: value for name, value in image.items() if value}}
    if kind == "input_file" and (part.get("file_data") or part.get("file_id")):
        return {"type": "file", "file": {name: value for name, value in part.items() if name != "type"}}
    if kind == "input_audio":
        return part
    raise NotInChatFormat(f"content of type {kind}")
