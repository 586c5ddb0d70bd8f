"""A response's request as a chat completion's, for a provider that speaks nothing else."""

import re
from typing import Any, Final

from jobs.errors import ProviderRejected

_RENAMED: Final = {"max_output_tokens": "max_completion_tokens"}
# What has no counterpart and changes no answer, or is said in another way below.
_OMITTED: Final = frozenset(
    {"input", "instructions", "text", "tools", "tool_choice", "parallel_tool_calls", "reasoning", "include"}
    | {"max_tool_calls", "truncation", "stream_options"}
)
_UNSUPPORTED: Final = ("prompt", "conversation", "context_management")
_LOGPROBS: Final = "message.output_text.logprobs"
_NAME: Final = re.compile(r"[a-z_ ]{1,60}")
_PART_TYPES: Final = {"input_text": "text", "output_text": "text", "text": "text", "refusal": "refusal"}


def chat_body(body: dict[str, Any], previous_items: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    """Pure. Raises ProviderRejected, which names what cannot be said in a chat completion."""
    said = {_RENAMED.get(name, name): value for name, value in body.items() if name not in _OMITTED}
    _reject_unsupported(body)
    said["messages"] = messages(body.get("instructions"), [*previous_items, *items(body.get("input"))])
    if body.get("tools"):
        said["tools"] = [_tool(tool) for tool in body["tools"]]
        said["tool_choice"] = _tool_choice(body.get("tool_choice", "auto"))
        said["parallel_tool_calls"] = body.get("parallel_tool_calls")
    if _LOGPROBS in (body.get("include") or ()) or body.get("top_logprobs") is not None:
        said["logprobs"] = True
    said |= _text_options(body.get("text") or {})
    if (body.get("reasoning") or {}).get("effort") is not None:
        said["reasoning_effort"] = body["reasoning"]["effort"]
    return {name: value for name, value in said.items() if value is not None}


def _reject_unsupported(body: dict[str, Any]) -> None:
    for name in _UNSUPPORTED:
        if body.get(name):
            raise _unsupported(name)
    if body.get("truncation") not in (None, "disabled"):
        raise _unsupported("truncation")


def items(given: Any) -> list[dict[str, Any]]:
    """The input as a list of items: a text alone is the user's."""
    return [{"role": "user", "content": given}] if isinstance(given, str) else list(given or [])


def messages(instructions: str | None, given: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Items as messages; what the assistant says and calls in one go is one, for outputs have to follow their calls.

    A reasoning goes back with the calls that it led to, for some providers refuse calls without it; else it is left
    out,
    for others refuse a message that has one.
    """
    chat_messages: list[dict[str, Any]] = [{"role": "system", "content": instructions}] if instructions else []
    reasoning = ""
    for item in given:
        match item.get("type", "message"):
            case "message":
                _add_message(chat_messages, _role(item["role"]), _content(item["content"]))
                reasoning = reasoning if item["role"] == "assistant" else ""
            case "function_call":
                _add_call(chat_messages, item, reasoning)
                reasoning = ""
            case "function_call_output":
                chat_messages.append(
                    {"role": "tool", "tool_call_id": item["call_id"], "content": _content(item["output"])}
                )
            case "reasoning":
                reasoning = "".join(part["text"] for part in item.get("content") or ())
            case other:
                raise _unsupported(f"an input item of type {other}")
    return chat_messages


def _add_message(chat_messages: list[dict[str, Any]], role: str, content: Any) -> None:
    if role == "assistant" and chat_messages and "tool_calls" in chat_messages[-1]:
        chat_messages[-1]["content"] = _join_contents(chat_messages[-1]["content"], content)
    else:
        chat_messages.append({"role": role, "content": content})


def _join_contents(first: Any, second: Any) -> Any:
    if first is None:
        return second
    if isinstance(first, str) and isinstance(second, str):
        return f"{first}\n{second}"
    return _parts(first) + _parts(second)


def _parts(content: Any) -> list[Any]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _add_call(chat_messages: list[dict[str, Any]], item: dict[str, Any], reasoning: str) -> None:
    if not chat_messages or chat_messages[-1]["role"] != "assistant":
        chat_messages.append({"role": "assistant", "content": None})
    message = chat_messages[-1]
    message.setdefault("tool_calls", []).append(_call(item))
    if reasoning:
        message["reasoning_content"] = message.get("reasoning_content", "") + reasoning


def _role(role: str) -> str:
    return "system" if role == "developer" else role


def _content(content: Any) -> Any:
    """A text where there is nothing but text: many servers take nothing else."""
    if isinstance(content, str):
        return content
    parts = [_part(part) for part in content]
    if all(part["type"] == "text" for part in parts):
        return "\n".join(part["text"] for part in parts)
    return parts


def _part(part: dict[str, Any]) -> dict[str, Any]:
    kind = part["type"]
    if kind in _PART_TYPES:
        said = _PART_TYPES[kind]
        return {"type": said, said: part[said]}
    if kind == "input_image" and part.get("image_url"):
        shown = {"url": part["image_url"], "detail": part.get("detail")}
        return {"type": "image_url", "image_url": {name: value for name, value in shown.items() if value}}
    if kind == "input_file" and (part.get("file_data") or part.get("file_id")):
        return {"type": "file", "file": {name: value for name, value in part.items() if name != "type"}}
    if kind == "input_audio":
        return part
    raise _unsupported(f"content of type {kind}")


def _call(item: dict[str, Any]) -> dict[str, Any]:
    function = {"name": item["name"], "arguments": item["arguments"]}
    return {"id": item["call_id"], "type": "function", "function": function}


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    if tool["type"] != "function":
        raise _unsupported(f"a tool of type {tool['type']}")
    said = {name: value for name, value in tool.items() if name != "type" and value is not None}
    return {"type": "function", "function": said}


def _tool_choice(choice: Any) -> Any:
    if isinstance(choice, str):
        return choice
    if choice["type"] != "function":
        raise _unsupported(f"a tool_choice of type {choice['type']}")
    return {"type": "function", "function": {"name": choice["name"]}}


def _text_options(text: dict[str, Any]) -> dict[str, Any]:
    format_ = text.get("format") or {"type": "text"}
    said: dict[str, Any] = {"verbosity": text.get("verbosity")}
    if format_["type"] == "json_schema":
        schema = {name: value for name, value in format_.items() if name != "type" and value is not None}
        said["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif format_["type"] != "text":
        said["response_format"] = {"type": format_["type"]}
    return said


def _unsupported(what: str) -> ProviderRejected:
    """A caller's word is shown only where it looks like a name: it could hold anything."""
    shown = what if _NAME.fullmatch(what) else "a part of it"
    return ProviderRejected(
        f"the provider speaks chat completions only, which have no words for {shown} of the request",
        code="provider_rejected_request",
    )
