"""The tools of a response as functions of a chat completion, for providers of chat completions only.

A custom tool becomes a function with one text, ``input``. Its grammar becomes part of the description of that text: it
guides the model and is not enforced. The tools of a namespace become functions whose names begin with the namespace. A
search for tools that the client executes becomes a function, and the tools that it has found become functions as well.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal

from openai_format.errors import NotInChatFormat
from openai_format.text import repair_surrogates
from openai_format.types import Item, JsonObject

ADDITIONAL_TOOLS: Final = "additional_tools"  # the type of an input item that contains further tools
TOOL_SEARCH: Final = "tool_search"  # the type of the tool, and the name of its function
_TYPES_WITH_TOOLS: Final = frozenset({ADDITIONAL_TOOLS, "tool_search_output"})
_SEPARATOR: Final = "__"  # between a namespace and the name of its tool
_NAME_CHARS: Final = 64  # of a function, OpenAI's limit
_NOT_IN_NAME: Final = re.compile(r"[^A-Za-z0-9_-]")
_DIGEST_BYTES: Final = 4
_INPUT: Final = "input"
_INPUT_DESCRIPTION: Final = "The input of the tool, as plain text."
# Who may call a function, and when it is loaded or answered: a chat completion has no counterpart.
_ONLY_IN_RESPONSES: Final = frozenset(
    {"type", "allowed_callers", "async", "defer_loading", "execution", "output_schema"}
)


@dataclass(frozen=True)
class Tool:
    """A tool as a response names it."""

    name: str
    namespace: str | None = None
    kind: Literal["function", "custom", "tool_search"] = "function"

    @property
    def namespace_field(self) -> JsonObject:
        """The field of a call's item that has the namespace; empty without one."""
        return {} if self.namespace is None else {"namespace": self.namespace}


class FunctionNames:
    """The function that stands for each tool of a request. Raises NotInChatFormat, and one of MALFORMED.

    Two tools never share a function. A tool that is declared twice counts once.
    """

    def __init__(self, tools: Iterable[JsonObject] = ()) -> None:
        self.functions: list[JsonObject] = []  # in the format of a chat completion
        self._tools: dict[str, Tool] = {}  # by the name of the function
        self._names: dict[Tool, str] = {}
        for tool in tools:
            self._add(tool)

    @classmethod
    def of_request(cls, body: JsonObject, items: Iterable[Item]) -> "FunctionNames":
        """``items``: all input items of the request, because some of them may contain tools."""
        additional = [tool for item in items if item.get("type") in _TYPES_WITH_TOOLS for tool in item["tools"]]
        return cls([*(body.get("tools") or ()), *additional])

    def name_of(self, tool: Tool) -> str:
        """The name of the function, also for a tool that the request does not declare."""
        return self._names.get(tool) or _function_name(tool)

    def tool_of(self, function_name: str) -> Tool:
        return self._tools.get(function_name) or Tool(function_name)

    def items(self) -> Iterable[tuple[Tool, JsonObject]]:
        """Each tool with its function."""
        return ((self.tool_of(function["function"].get("name", "")), function) for function in self.functions)

    def _add(self, declared: JsonObject) -> None:
        if declared["type"] == "namespace":
            for member in declared["tools"]:
                self._add_tool(member, declared["name"], declared.get("description") or "")
        elif declared["type"] == "function" and not declared.get("name"):
            self.functions.append(_function(_function_fields(declared)))  # the provider rejects it
        elif declared["type"] == TOOL_SEARCH:
            self._add_tool({**declared, "name": TOOL_SEARCH}, None, "")
        else:
            self._add_tool(declared, None, "")

    def _add_tool(self, declared: JsonObject, namespace: str | None, about_namespace: str) -> None:
        is_search = declared["type"] == TOOL_SEARCH and declared.get("execution") == "client"
        if declared["type"] not in ("function", "custom") and not is_search:
            raise NotInChatFormat(f"a tool of type {declared['type']}")
        tool = Tool(declared["name"], namespace, declared["type"])
        if tool in self._names:
            return
        name = _function_name(tool)
        if name in self._tools:
            name = _with_digest(name, tool)
        self._tools[name], self._names[tool] = tool, name
        fields = _custom_fields(declared) if tool.kind == "custom" else _function_fields(declared)
        description = "\n\n".join(filter(None, (fields.get("description"), about_namespace)))
        self.functions.append(_function(fields | {"name": name, "description": description or None}))


def found_tools(names: FunctionNames, tools: Iterable[JsonObject]) -> str:
    """The functions that stand for the tools that a search has found, as a text for the model."""
    found = FunctionNames(tools)
    listed = ({**function["function"], "name": names.name_of(tool)} for tool, function in found.items())
    return json.dumps([{name: entry.get(name) for name in ("name", "description")} for entry in listed])


def custom_arguments(text: str) -> str:
    """The input of a custom tool as the arguments of its function."""
    return json.dumps({_INPUT: text}, ensure_ascii=False)


def custom_input(arguments: str) -> str:
    """The input of a custom tool, from the arguments that the model wrote for its function.

    Some models give the text another name, or write it without JSON around it.
    """
    try:
        fields = json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments
    only = next(iter(fields.values())) if isinstance(fields, dict) and len(fields) == 1 else fields
    text = fields.get(_INPUT, only) if isinstance(fields, dict) else fields
    if fields == {}:
        return ""
    return repair_surrogates(text) if isinstance(text, str) else arguments


def _function_name(tool: Tool) -> str:
    """A tool outside of a namespace keeps its name: the provider rejects a wrong one."""
    if tool.namespace is None:
        return tool.name
    separator = "" if tool.namespace.endswith(_SEPARATOR) else _SEPARATOR
    joined = _NOT_IN_NAME.sub("_", f"{tool.namespace}{separator}{tool.name}")
    return joined if len(joined) <= _NAME_CHARS else _with_digest(joined, tool)


def _with_digest(function_name: str, tool: Tool) -> str:
    """A name of its own for this tool, the same in every request."""
    identity = json.dumps([tool.namespace, tool.name, tool.kind]).encode()
    digest = hashlib.blake2b(identity, digest_size=_DIGEST_BYTES).hexdigest()
    return f"{function_name[: _NAME_CHARS - len(digest) - 1]}_{digest}"


def _function(fields: JsonObject) -> JsonObject:
    return {"type": "function", "function": {name: value for name, value in fields.items() if value is not None}}


def _function_fields(tool: JsonObject) -> JsonObject:
    return {name: value for name, value in tool.items() if name not in _ONLY_IN_RESPONSES}


def _custom_fields(tool: JsonObject) -> JsonObject:
    text = {"type": "string", "description": _input_description(tool.get("format") or {"type": "text"})}
    parameters = {"type": "object", "properties": {_INPUT: text}, "required": [_INPUT], "additionalProperties": False}
    return {"description": tool.get("description"), "parameters": parameters}


def _input_description(text_format: Any) -> str:
    if text_format["type"] == "text":
        return _INPUT_DESCRIPTION
    if text_format["type"] != "grammar":
        raise NotInChatFormat(f"a tool format of type {text_format['type']}")
    syntax, definition = text_format["syntax"], text_format["definition"]
    return f"{_INPUT_DESCRIPTION} It must match this {syntax} grammar:\n\n{definition}"
