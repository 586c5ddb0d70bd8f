"""The messages of a chat completion as the items of a response. Pure."""

from collections.abc import Iterable, Iterator
from typing import Any

Item = dict[str, Any]


def as_items(messages: Iterable[dict[str, Any]]) -> list[Item]:
    """What has no counterpart stays as it is: the provider judges."""
    return [item for message in messages for item in _items(message)]


def _items(message: dict[str, Any]) -> Iterator[Item]:
    role, content = message.get("role", "user"), message.get("content")
    if role == "tool":
        yield {"type": "function_call_output", "call_id": message.get("tool_call_id"), "output": _said(role, content)}
        return
    if content:
        yield {"type": "message", "role": role, "content": _said(role, content)}
    for call in message.get("tool_calls") or ():
        called = call.get("function") or {}
        yield {"type": "function_call", "call_id": call.get("id"), **called}


def _said(role: str, content: Any) -> Any:
    return [_part(role, part) for part in content] if isinstance(content, list) else content or ""


def _part(role: str, part: Any) -> Any:
    match part:
        case {"type": "text", "text": text}:
            return {"type": "output_text" if role == "assistant" else "input_text", "text": text}
        case {"type": "image_url", "image_url": {"url": url, **more}}:
            return {"type": "input_image", "image_url": url, "detail": more.get("detail", "auto")}
        case {"type": "file", "file": dict(file)}:
            return {"type": "input_file", **file}
    return part
