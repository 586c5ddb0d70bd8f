"""Chunks of a chat completion as a response, for a provider that speaks nothing else.

A text is told as text alone: who serves the response opens and closes the message around it. Calls are told as the
events of a response. The first one streams; further ones are told whole at the end, since one item has to be closed
before the next one opens, and only the end of the stream closes a call.
"""

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tasks.provider_errors import stream_cut
from tasks.upstream.piece import Halves, Piece, read_model, read_text, read_usage


@dataclass
class _Call:
    """A function call as it comes in."""

    call_id: str = ""
    name: str = field(default="", repr=False)
    arguments: str = field(default="", repr=False)
    item_id: str = field(default_factory=lambda: f"fc_{uuid.uuid4().hex}")
    output_index: int = -1

    def item(self, status: str) -> dict[str, Any]:
        arguments = self.arguments if status == "completed" else ""
        return {
            "id": self.item_id,
            "type": "function_call",
            "status": status,
            "call_id": self.call_id or self.item_id,
            "name": self.name,
            "arguments": arguments,
        }


class TranslatingReader:
    is_over = False

    def __init__(self) -> None:
        self._halves = Halves()
        self._calls: dict[int, _Call] = {}
        self._output: list[dict[str, Any]] = []
        self._live: _Call | None = None
        self._body: dict[str, Any] = {}
        self._has_ended = False

    def read(self, said: Any) -> Iterable[Piece]:
        choices = said["choices"]
        choice = choices[0] if choices else {}
        delta = choice.get("delta") or {}
        reason = read_text(choice.get("finish_reason"))
        self._has_ended = self._has_ended or reason is not None
        usage = read_usage(said.get("usage"))
        if usage:
            self._body["usage"] = response_usage(said["usage"])
        pieces = [Piece(finish_reason=reason, usage=usage, model=read_model(said))]
        text = self._halves.join(read_text(delta.get("content")) or "")
        if text:
            pieces.append(self._text(text))
        for call in delta.get("tool_calls") or ():
            pieces += self._call(call)
        return pieces

    def end(self) -> Iterable[Piece]:
        if not self._has_ended:
            raise stream_cut()
        pieces = []
        for call in self._calls.values():
            if call is not self._live:
                pieces += self._begun(call)
                pieces.append(_event("function_call_arguments.delta", call, delta=call.arguments))
            pieces.append(_event("function_call_arguments.done", call, name=call.name, arguments=call.arguments))
            pieces.append(_item_event("done", call, "completed"))
            self._output[call.output_index] = call.item("completed")
        return [*pieces, Piece(body=self._body | {"output": self._output})]

    def _text(self, text: str) -> Piece:
        if not self._output:
            self._output.append({"type": "message"})
        return Piece(text=text)

    def _call(self, said: dict[str, Any]) -> Iterator[Piece]:
        call = self._calls.setdefault(int(said.get("index", 0)), _Call())
        function = said.get("function") or {}
        call.call_id = call.call_id or read_text(said.get("id")) or ""
        call.name = call.name or read_text(function.get("name")) or ""
        arguments = read_text(function.get("arguments")) or ""
        call.arguments += arguments
        if self._live is None and call.name and len(self._calls) == 1:
            self._live = call
            yield from self._begun(call)
            arguments = call.arguments
        if call is self._live and arguments:
            yield _event("function_call_arguments.delta", call, delta=arguments)

    def _begun(self, call: _Call) -> list[Piece]:
        call.output_index = len(self._output)
        self._output.append(call.item("in_progress"))
        return [_item_event("added", call, "in_progress")]


def _event(kind: str, call: _Call, **fields: Any) -> Piece:
    place = {"item_id": call.item_id, "output_index": call.output_index}
    return Piece(data={"type": f"response.{kind}", **place, **fields})


def _item_event(what: str, call: _Call, status: str) -> Piece:
    data = {"type": f"response.output_item.{what}", "output_index": call.output_index, "item": call.item(status)}
    return Piece(data=data)


def response_usage(usage: dict[str, Any]) -> dict[str, Any]:
    """The usage of a chat completion under the names of a response's."""
    given, made = int(usage["prompt_tokens"]), int(usage.get("completion_tokens") or 0)
    read = usage.get("prompt_tokens_details") or {}
    written = usage.get("completion_tokens_details") or {}
    return {
        "input_tokens": given,
        "input_tokens_details": {"cached_tokens": read.get("cached_tokens") or 0},
        "output_tokens": made,
        "output_tokens_details": {"reasoning_tokens": written.get("reasoning_tokens") or 0},
        "total_tokens": int(usage.get("total_tokens", given + made)),
    }
