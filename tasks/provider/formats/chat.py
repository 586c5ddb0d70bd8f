"""A chat of the native API, as a chat completion of which only the text matters."""

import sys
from collections.abc import Iterable
from typing import Any

from jobs.requests import ChatTask
from tasks.provider.errors import stream_cut
from tasks.provider.formats.delta import Halves, Piece, read_content, read_model, read_text, read_usage
from tasks.provider.limits import Room


def chat_body(request: ChatTask) -> dict[str, Any]:
    messages = [{"role": turn.role, "content": turn.content} for turn in request.history]
    if request.system is not None:
        messages.insert(0, {"role": "system", "content": request.system})
    messages.append({"role": "user", "content": request.message})
    body: dict[str, Any] = {"messages": messages}
    if request.temperature is not None:
        body["temperature"] = request.temperature
    if request.max_output_tokens is not None:
        body["max_completion_tokens"] = request.max_output_tokens
    return body


class ChatReader:
    """Of chunks: the text of the first choice, its finish reason, and the usage."""

    is_over = False

    def __init__(self, max_chars: int = sys.maxsize) -> None:
        self.room = Room(max_chars)
        self._halves = Halves()
        self._has_ended = False

    def read(self, said: Any) -> Iterable[Piece]:
        choices = said.get("choices")
        choice = choices[0] if choices else {}
        text = self._halves.join(read_content((choice.get("delta") or {}).get("content")))
        piece = Piece(
            text=self.room.take(text),
            finish_reason=read_text(choice.get("finish_reason")) or None,
            usage=read_usage(said.get("usage")),
            model=read_model(said),
        )
        self._has_ended = self._has_ended or piece.finish_reason is not None
        return (piece,)

    def end(self) -> Iterable[Piece]:
        if not (self._has_ended or self.room.is_full):
            raise stream_cut()
        rest = self.room.take(self._halves.rest())
        return (Piece(text=rest),) if rest else ()
