"""Converts the request of a response to that of a chat completion, for providers of chat completions only."""

from typing import Any, Final

from openai_format.compaction import with_summaries
from openai_format.errors import NotInChatFormat
from openai_format.items import input_items
from openai_format.messages import to_messages
from openai_format.text import MALFORMED
from openai_format.tools import FunctionNames, Tool
from openai_format.types import Item, JsonObject

_RENAMED: Final = {"max_output_tokens": "max_completion_tokens"}
# Converted below, or left out because they have no counterpart and change no answer.
_NOT_COPIED: Final = frozenset(
    {"input", "instructions", "text", "tools", "tool_choice", "parallel_tool_calls", "reasoning", "include"}
    | {"max_tool_calls", "truncation", "stream_options", "client_metadata"}
)
_UNSUPPORTED: Final = ("prompt", "conversation", "context_management")
_LOGPROBS: Final = "message.output_text.logprobs"


def chat_request(body: JsonObject, previous_items: tuple[Item, ...]) -> JsonObject:
    """The request of a response, converted to that of a chat completion. Unknown parameters are copied unchanged.

    Raises NotInChatFormat, and one of MALFORMED for a malformed body.
    """
    chat_body = {_RENAMED.get(name, name): value for name, value in body.items() if name not in _NOT_COPIED}
    _reject_unsupported(body)
    items, names = _all_items(body, previous_items), function_names(body, previous_items)
    chat_body["messages"] = to_messages(body.get("instructions"), items, names)
    chat_body |= _tool_options(body, names) | _text_options(body.get("text") or {})
    if _LOGPROBS in (body.get("include") or ()) or body.get("top_logprobs") is not None:
        chat_body["logprobs"] = True
    if (body.get("reasoning") or {}).get("effort") is not None:
        chat_body["reasoning_effort"] = body["reasoning"]["effort"]
    return {name: value for name, value in chat_body.items() if value is not None}


def function_names(body: JsonObject, previous_items: tuple[Item, ...]) -> FunctionNames:
    """The functions that stand for the tools of the request. Raises what ``chat_request`` raises."""
    return FunctionNames.of_request(body, _all_items(body, previous_items))


def needs_responses(body: JsonObject, previous_items: tuple[Item, ...]) -> bool:
    """True if a chat completion cannot express the request. Never raises: the provider rejects a malformed one."""
    try:
        chat_request(body, previous_items)
    except NotInChatFormat:
        return True
    except MALFORMED:
        return False
    return False


def _all_items(body: JsonObject, previous_items: tuple[Item, ...]) -> list[Item]:
    return with_summaries([*previous_items, *input_items(body.get("input"))])


def _reject_unsupported(body: JsonObject) -> None:
    for name in _UNSUPPORTED:
        if body.get(name):
            raise NotInChatFormat(name)
    if body.get("truncation") not in (None, "disabled"):
        raise NotInChatFormat("truncation")


def _tool_options(body: JsonObject, names: FunctionNames) -> JsonObject:
    """Empty without tools, because some providers reject a ``tool_choice`` without ``tools``."""
    if not names.functions:
        return {}
    return {
        "tools": names.functions,
        "tool_choice": _tool_choice(body.get("tool_choice", "auto"), names),
        "parallel_tool_calls": body.get("parallel_tool_calls"),
    }


def _tool_choice(choice: Any, names: FunctionNames) -> Any:
    if choice is None or isinstance(choice, str):
        return choice
    if choice["type"] not in ("function", "custom"):
        raise NotInChatFormat(f"a tool_choice of type {choice['type']}")
    tool = Tool(choice["name"], choice.get("namespace"), choice["type"])
    return {"type": "function", "function": {"name": names.name_of(tool)}}


def _text_options(text: JsonObject) -> JsonObject:
    text_format = text.get("format") or {"type": "text"}
    options: JsonObject = {"verbosity": text.get("verbosity")}
    if text_format["type"] == "json_schema":
        options["response_format"] = {"type": "json_schema", "json_schema": _without_type(text_format)}
    elif text_format["type"] != "text":
        options["response_format"] = {"type": text_format["type"]}
    return options


def _without_type(fields: JsonObject) -> JsonObject:
    return {name: value for name, value in fields.items() if name != "type" and value is not None}
