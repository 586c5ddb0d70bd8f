"""The same model for clients that speak Responses: switched on with --responses."""

import json
import secrets
import time
from typing import Any

from pydantic import BaseModel

from local.offline_model.answers import Answer
from local.offline_model.bodies import ChatBody, ChatMessage, ContentPart, ResponseFormat, Text, Tool, ToolFunction
from local.offline_model.wire import dumps


class InputItem(BaseModel):
    """Of the input: a message, or one of a kind that has no role."""

    type: str = "message"
    role: str | None = None
    content: str | list[ContentPart] | None = None

    def message(self) -> ChatMessage:
        role = "tool" if self.type == "function_call_output" else "assistant"
        return ChatMessage(role=self.role or role, content=self.content)


class ResponsesBody(BaseModel):
    model: Text
    input: str | list[InputItem]
    instructions: str | None = None
    stream: bool | None = None
    max_output_tokens: int | None = None
    tools: list[ToolFunction] = []
    text: dict[str, Any] = {}

    def to_chat(self) -> ChatBody:
        """What the model itself reads: it is the same one."""
        items = [InputItem(role="user", content=self.input)] if isinstance(self.input, str) else self.input
        messages = [item.message() for item in items]
        if self.instructions:
            messages.insert(0, ChatMessage(role="system", content=self.instructions))
        return ChatBody(
            model=self.model,
            messages=messages,
            stream=self.stream,
            max_completion_tokens=self.max_output_tokens,
            tools=[Tool(function=tool) for tool in self.tools],
            response_format=ResponseFormat.from_responses_format(self.text.get("format") or {}),
        )


class ResponsesStreamEncoder:
    """The server-sent events of one stream, as ``wire.ChatStreamEncoder`` are of the other kind."""

    def __init__(self, model: str) -> None:
        self._head = _head(model)
        self._message_id = f"msg_{secrets.token_hex(16)}"
        self._number = 0
        self._is_open = False

    def start(self) -> bytes:
        started = self._head | {"status": "in_progress"}
        return self._event("response.created", response=started) + self._event("response.in_progress", response=started)

    def encode_tokens(self, tokens: tuple[str, ...]) -> bytes:
        opening_events = b"" if self._is_open or not tokens else self._open()
        return opening_events + b"".join(
            self._event("response.output_text.delta", **self._position(), delta=token, logprobs=[]) for token in tokens
        )

    def end(self, answer: Answer) -> bytes:
        events = self._close(answer.text) if self._is_open else b""
        output = [message_item(self._message_id, answer)] if self._is_open else []
        for call in answer.calls:
            item = call_item(call.name, call.arguments)
            events += self._call(item, len(output))
            output.append(item)
        final = final_response(self._head, answer, output)
        return events + self._event(f"response.{final['status']}", response=final)

    def _open(self) -> bytes:
        self._is_open = True
        item = {"id": self._message_id, "type": "message", "role": "assistant", "status": "in_progress", "content": []}
        return self._event("response.output_item.added", output_index=0, item=item) + self._event(
            "response.content_part.added", **self._position(), part=text_part("")
        )

    def _close(self, text: str) -> bytes:
        item = {"id": self._message_id, "type": "message", "role": "assistant", "status": "completed"}
        return (
            self._event("response.output_text.done", **self._position(), text=text, logprobs=[])
            + self._event("response.content_part.done", **self._position(), part=text_part(text))
            + self._event("response.output_item.done", output_index=0, item=item | {"content": [text_part(text)]})
        )

    def _call(self, item: dict[str, Any], index: int) -> bytes:
        position = {"item_id": item["id"], "output_index": index}
        started, arguments = item | {"status": "in_progress", "arguments": ""}, item["arguments"]
        return (
            self._event("response.output_item.added", output_index=index, item=started)
            + self._event("response.function_call_arguments.delta", **position, delta=arguments)
            + self._event("response.function_call_arguments.done", **position, arguments=arguments, name=item["name"])
            + self._event("response.output_item.done", output_index=index, item=item)
        )

    def _position(self) -> dict[str, Any]:
        return {"item_id": self._message_id, "output_index": 0, "content_index": 0}

    def _event(self, kind: str, **fields: Any) -> bytes:
        data = {"type": kind, "sequence_number": self._number, **fields}
        self._number += 1
        return f"event: {kind}\ndata: {dumps(data)}\n\n".encode()


def response_body(model: str, answer: Answer) -> dict[str, Any]:
    """The answer as one object."""
    output = [message_item(f"msg_{secrets.token_hex(16)}", answer)] if answer.tokens else []
    output += [call_item(call.name, call.arguments) for call in answer.calls]
    return final_response(_head(model), answer, output)


def _head(model: str) -> dict[str, Any]:
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


def final_response(head: dict[str, Any], answer: Answer, output: list[dict[str, Any]]) -> dict[str, Any]:
    incomplete_reason = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(answer.finish_reason)
    output_tokens = len(answer.tokens)
    usage = {
        "input_tokens": answer.prompt_tokens,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": answer.prompt_tokens + output_tokens,
    }
    return head | {
        "status": "incomplete" if incomplete_reason else "completed",
        "incomplete_details": {"reason": incomplete_reason} if incomplete_reason else None,
        "output": output,
        "usage": usage,
    }


def text_part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def message_item(item_id: str, answer: Answer) -> dict[str, Any]:
    content = [text_part(answer.text)]
    return {"id": item_id, "type": "message", "role": "assistant", "status": "completed", "content": content}


def call_item(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": f"fc_{secrets.token_hex(16)}",
        "type": "function_call",
        "status": "completed",
        "call_id": f"call_{secrets.token_hex(12)}",
        "name": name,
        "arguments": json.dumps(arguments),
    }
