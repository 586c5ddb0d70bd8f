"""A response's request as a chat completion's, for a provider that speaks nothing else."""

import re
from typing import Any, Final

from jobs.errors import ProviderRejected

_RENAMED: Final = {"max_output_tokens": "max_completion_tokens"}
# What has no counterpart and changes no answer, or is said in another way below.
_LEFT_OUT: Final = frozenset(
    {"input", "instructions", "text", "tools", "tool_choice", "parallel_tool_calls", "reasoning", "include"}
    | {"max_tool_calls", "truncation", "stream_options"}
)
_UNSPEAKABLE: Final = ("prompt", "conversation", "context_management")
_LOGPROBS: Final = "message.output_text.logprobs"
_NAME: Final = re.compile(r"[a-z_ ]{1,60}")
_PARTS: Final = {"input_text": "text", "output_text": "text", "text": "text", "refusal": "refusal"}


def chat_body(body: dict[str, Any], earlier: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    """Pure. Raises ProviderRejected, which names what cannot be said in a chat completion."""
    said = {_RENAMED.get(name, name): value for name, value in body.items() if name not in _LEFT_OUT}
    _refuse_unspeakable(body)
    said["messages"] = messages(body.get("instructions"), [*earlier, *items(body.get("input"))])
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


def _refuse_unspeakable(body: dict[str, Any]) -> None:
    for name in _UNSPEAKABLE:
        if body.get(name):
            raise _cannot(name)
    if body.get("truncation") not in (None, "disabled"):
        raise _cannot("truncation")


def items(given: Any) -> list[dict[str, Any]]:
    """The input as a list of items: a text alone is the user's."""
    return [{"role": "user", "content": given}] if isinstance(given, str) else list(given or [])


def messages(instructions: str | None, given: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Items as messages; what the assistant says and calls in one go is one, for outputs have to follow their calls.

    A thought goes back with the calls that it led to, for some providers refuse calls without it; else it is left out,
    for others refuse a message that has one.
    """
    made: list[dict[str, Any]] = [{"role": "system", "content": instructions}] if instructions else []
    thought = ""
    for item in given:
        match item.get("type", "message"):
            case "message":
                _add_message(made, _role(item["role"]), _content(item["content"]))
                thought = thought if item["role"] == "assistant" else ""
            case "function_call":
                _add_call(made, item, thought)
                thought = ""
            case "function_call_output":
                made.append({"role": "tool", "tool_call_id": item["call_id"], "content": _content(item["output"])})
            case "reasoning":
                thought = "".join(part["text"] for part in item.get("content") or ())
            case other:
                raise _cannot(f"an input item of type {other}")
    return made


def _add_message(made: list[dict[str, Any]], role: str, content: Any) -> None:
    if role == "assistant" and made and "tool_calls" in made[-1]:
        made[-1]["content"] = _joined(made[-1]["content"], content)
    else:
        made.append({"role": role, "content": content})


def _joined(one: Any, other: Any) -> Any:
    if one is None:
        return other
    if isinstance(one, str) and isinstance(other, str):
        return f"{one}\n{other}"
    return _parts(one) + _parts(other)


def _parts(content: Any) -> list[Any]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _add_call(made: list[dict[str, Any]], item: dict[str, Any], thought: str) -> None:
    if not made or made[-1]["role"] != "assistant":
        made.append({"role": "assistant", "content": None})
    message = made[-1]
    message.setdefault("tool_calls", []).append(_call(item))
    if thought:
        message["reasoning_content"] = message.get("reasoning_content", "") + thought


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
    if kind in _PARTS:
        said = _PARTS[kind]
        return {"type": said, said: part[said]}
    if kind == "input_image" and part.get("image_url"):
        shown = {"url": part["image_url"], "detail": part.get("detail")}
        return {"type": "image_url", "image_url": {name: value for name, value in shown.items() if value}}
    if kind == "input_file" and (part.get("file_data") or part.get("file_id")):
        return {"type": "file", "file": {name: value for name, value in part.items() if name != "type"}}
    if kind == "input_audio":
        return part
    raise _cannot(f"content of type {kind}")


def _call(item: dict[str, Any]) -> dict[str, Any]:
    called = {"name": item["name"], "arguments": item["arguments"]}
    return {"id": item["call_id"], "type": "function", "function": called}


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    if tool["type"] != "function":
        raise _cannot(f"a tool of type {tool['type']}")
    said = {name: value for name, value in tool.items() if name != "type" and value is not None}
    return {"type": "function", "function": said}


def _tool_choice(choice: Any) -> Any:
    if isinstance(choice, str):
        return choice
    if choice["type"] != "function":
        raise _cannot(f"a tool_choice of type {choice['type']}")
    return {"type": "function", "function": {"name": choice["name"]}}


def _text_options(text: dict[str, Any]) -> dict[str, Any]:
    shape = text.get("format") or {"type": "text"}
    said: dict[str, Any] = {"verbosity": text.get("verbosity")}
    if shape["type"] == "json_schema":
        schema = {name: value for name, value in shape.items() if name != "type" and value is not None}
        said["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif shape["type"] != "text":
        said["response_format"] = {"type": shape["type"]}
    return said


def _cannot(what: str) -> ProviderRejected:
    """A caller's word is shown only where it looks like a name: it could hold anything."""
    shown = what if _NAME.fullmatch(what) else "a part of it"
    return ProviderRejected(
        f"the provider speaks chat completions only, which have no words for {shown} of the request",
        code="provider_rejected_request",
    )
