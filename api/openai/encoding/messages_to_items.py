"""The messages of a chat completion as the items of a response. Pure."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

ItemObject = dict[str, Any]
_REASONING_FIELDS: Final = ("reasoning_content", "reasoning")  # no standard has them: DeepSeek's name and vLLM's


def to_items(messages: Iterable[dict[str, Any]]) -> list[ItemObject]:
    """What has no counterpart stays as it is: the provider judges."""
    return [item for message in messages for item in _items(message)]


def _items(message: dict[str, Any]) -> Iterator[ItemObject]:
    role = message.get("role", "user")
    content = _convert_content(role, message.get("content"))
    if role == "tool":
        yield {"type": "function_call_output", "call_id": message.get("tool_call_id"), "output": content}
        return
    if reasoning := _reasoning_text(message):
        yield {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": reasoning}]}
    if refusal := message.get("refusal"):
        content = [*_content_parts(content), {"type": "refusal", "refusal": refusal}]
    if content:
        yield {"type": "message", "role": role, "content": content}
    for call in message.get("tool_calls") or ():
        function = {name: value for name, value in (call.get("function") or {}).items() if value is not None}
        yield {"type": "function_call", "call_id": call.get("id"), "arguments": "", **function}


def _reasoning_text(message: dict[str, Any]) -> str:
    candidates = map(message.get, _REASONING_FIELDS)
    return next((reasoning for reasoning in candidates if reasoning and isinstance(reasoning, str)), "")


def _content_parts(content: Any) -> list[Any]:
    """Of what an assistant said."""
    if isinstance(content, list):
        return content
    return [{"type": "output_text", "text": content, "annotations": []}] if content else []


def _convert_content(role: str, content: Any) -> Any:
    return [_convert_part(role, part) for part in content] if isinstance(content, list) else content or ""


def _convert_part(role: str, part: Any) -> Any:
    match part:
        case {"type": "text", "text": text}:
            return {"type": "output_text" if role == "assistant" else "input_text", "text": text}
        case {"type": "image_url", "image_url": {"url": url, **rest}}:
            return {"type": "input_image", "image_url": url, "detail": rest.get("detail", "auto")}
        case {"type": "file", "file": dict(file)}:
            return {"type": "input_file", **file}
    return part
