"""The offline model's answers in the format of the responses API, which --responses enables."""

import json
import secrets
import time

from local.offline_model.answers import Answer, FunctionCall
from local.offline_model.logprobs import token_logprobs
from local.offline_model.wire import dumps
from openai_format import response_events
from openai_format.items import function_call_item, message_item, output_text_part
from openai_format.types import EventObject, Item, JsonObject
from openai_format.usage import response_usage


class ResponsesStreamEncoder:
    """The server-sent events of one streamed response. For chat completions see ``wire.ChatStreamEncoder``."""

    def __init__(self, model: str, top_logprobs: int | None = None) -> None:
        self._head = _head(model)
        self._top_logprobs = top_logprobs
        self._numbering = response_events.EventNumbering()
        self._message_id = _message_id()
        self._position = response_events.part_position(self._message_id, 0)
        self._is_open = False

    def start(self) -> bytes:
        started = self._head | {"status": "in_progress"}
        return self._encode([response_events.response_event(kind, started) for kind in ("created", "in_progress")])

    def encode_tokens(self, tokens: tuple[str, ...]) -> bytes:
        opening = b"" if self._is_open or not tokens else self._open()
        return opening + self._encode(
            [
                response_events.output_text_delta(self._position, token, _logprobs((token,), self._top_logprobs))
                for token in tokens
            ]
        )

    def end(self, answer: Answer) -> bytes:
        output: list[Item] = []
        closing: list[EventObject] = []
        if self._is_open:
            output = [_message(self._message_id, answer)]
            logprobs = _logprobs(answer.tokens, answer.top_logprobs)
            closing = response_events.close_text("output_text", output[0], 0, answer.text, logprobs)
        for call in map(_call_item, answer.calls):
            closing += _call_events(call, len(output))
            output.append(call)
        if answer.finish_reason is None:
            return self._encode(closing)
        response = _final_response(self._head, answer, output)
        return self._encode([*closing, response_events.response_event(response["status"], response)])

    def _open(self) -> bytes:
        self._is_open = True
        return self._encode(
            response_events.open_text("output_text", message_item(self._message_id, [], "in_progress"), 0)
        )

    def _encode(self, unnumbered: list[EventObject]) -> bytes:
        numbered = map(self._numbering.number, unnumbered)
        return "".join([f"event: {event['type']}\ndata: {dumps(event)}\n\n" for event in numbered]).encode()


def _call_events(call: Item, output_index: int) -> list[EventObject]:
    return [
        response_events.item_added(output_index, {**call, "status": "in_progress", "arguments": ""}),
        response_events.arguments_delta(call["id"], output_index, call["arguments"]),
        *response_events.close_call(call, output_index),
    ]


def response_body(model: str, answer: Answer) -> JsonObject:
    """The answer as one object."""
    output = [_message(_message_id(), answer)] if answer.tokens else []
    return _final_response(_head(model), answer, [*output, *map(_call_item, answer.calls)])


def _head(model: str) -> JsonObject:
    return {
        "id": f"resp_{secrets.token_hex(16)}",
        "object": "response",
        "created_at": int(time.time()),
        "model": model,
        "error": None,
        "incomplete_details": None,
        "output": [],
        "usage": None,
    }


def _final_response(head: JsonObject, answer: Answer, output: list[Item]) -> JsonObject:
    reasons = {"length": "max_output_tokens", "content_filter": "content_filter"}
    incomplete_reason = reasons.get(answer.finish_reason or "")
    return head | {
        "status": "incomplete" if incomplete_reason else "completed",
        "incomplete_details": {"reason": incomplete_reason} if incomplete_reason else None,
        "output": output,
        "usage": response_usage(answer.counts),
    }


def _message_id() -> str:
    return f"msg_{secrets.token_hex(16)}"


def _message(item_id: str, answer: Answer) -> Item:
    part = output_text_part(answer.text, _logprobs(answer.tokens, answer.top_logprobs))
    return message_item(item_id, [part], "completed")


def _logprobs(tokens: tuple[str, ...], top: int | None) -> list[JsonObject]:
    return [] if top is None else token_logprobs(tokens, top)


def _call_item(call: FunctionCall) -> Item:
    item_id, call_id = f"fc_{secrets.token_hex(16)}", f"call_{secrets.token_hex(12)}"
    return function_call_item(item_id, call_id, call.name, json.dumps(call.arguments), "completed")
