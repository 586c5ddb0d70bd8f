"""A call in a chat completion's stream, as an item of a response: of a function, or of the tool behind it."""

import uuid
from collections.abc import Iterator
from typing import Any, Final

from openai_format import response_events
from openai_format.function_calls import NO_ARGUMENTS, arguments_text, is_complete
from openai_format.items import custom_call_item, function_call_item, tool_search_item
from openai_format.text import SurrogateJoiner, TextBudget, read_text
from openai_format.tools import FunctionNames, Tool, custom_input
from openai_format.types import EventObject, Item, ItemStatus, JsonObject

_ID_PREFIXES: Final = {"function": "fc", "custom": "ctc", "tool_search": "tsc"}


class CallItem:
    """A call that grows. It opens when its name is known, because ``names`` has the tool of that name.

    The input of a custom tool is inside the arguments, and known when they are complete. A call that was cut has no
    input: half of a script must not run.
    """

    def __init__(self, budget: TextBudget, names: FunctionNames) -> None:
        self.name = ""
        self.arguments = ""
        self.output_index = -1
        self.status: ItemStatus = "in_progress"
        self._budget = budget
        self._names = names
        self._joiner = SurrogateJoiner()
        self._id = uuid.uuid4().hex
        self._index: Any = None
        self._call_id = ""

    @property
    def identity(self) -> JsonObject:
        """The fields of the call that `call_index` compares with a fragment."""
        function = {"name": self.name, "arguments": self.arguments}
        return {"index": self._index, "id": self._call_id, "function": function}

    @property
    def is_complete(self) -> bool:
        return is_complete(self.arguments)

    def add_fragment(self, fragment: JsonObject) -> str:
        """Returns the new part of the arguments."""
        function = fragment.get("function") or {}
        self._index = fragment.get("index") if self._index is None else self._index
        self._call_id = self._call_id or read_text(fragment.get("id")) or ""
        self.name = self.name or read_text(function.get("name")) or ""
        arguments = self._budget.take(self._joiner.join(arguments_text(function.get("arguments"))))
        self.arguments += arguments
        return arguments

    def delta(self, arguments: str) -> Iterator[EventObject]:
        """The event for a new part of the arguments."""
        if arguments and self._tool.kind == "function":
            yield response_events.arguments_delta(self._item_id, self.output_index, arguments)

    def open(self) -> Iterator[EventObject]:
        yield response_events.item_added(self.output_index, self.item())
        yield from self.delta(self.arguments)

    def close(self) -> Iterator[EventObject]:
        item, kind = self.item(), self._tool.kind
        if kind == "tool_search":
            yield response_events.item_done(self.output_index, item)
            return
        if kind == "custom":
            yield from response_events.rest_of_call(item, self.output_index, "")
            return
        if self.status == "completed" and not self.arguments:
            yield from self.delta(NO_ARGUMENTS)
        yield from response_events.close_call(item, self.output_index)

    def item(self) -> Item:
        call_id = self._call_id or self._item_id
        arguments = "" if self.status == "in_progress" else self.arguments
        tool = self._tool
        if tool.kind == "tool_search":
            return tool_search_item(self._item_id, call_id, arguments, self.status)
        if tool.kind == "custom":
            text = custom_input(arguments) if self.status == "completed" else ""
            return custom_call_item(self._item_id, call_id, tool.name, text, self.status) | tool.namespace_field
        if self.status == "completed":
            arguments = arguments or NO_ARGUMENTS
        return function_call_item(self._item_id, call_id, tool.name, arguments, self.status) | tool.namespace_field

    @property
    def _tool(self) -> Tool:
        return self._names.tool_of(self.name)

    @property
    def _item_id(self) -> str:
        return f"{_ID_PREFIXES[self._tool.kind]}_{self._id}"
