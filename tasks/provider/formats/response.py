"""A response of a provider that speaks Responses: its events pass as they came, but for what a front says itself."""

import sys
from collections.abc import Iterable
from typing import Any, Final

from tasks.provider.errors import reported, stream_cut
from tasks.provider.formats.delta import Halves, Piece, mended, read_model, read_text, read_usage
from tasks.provider.formats.response_accumulator import Place, Told, are_items, is_sound
from tasks.provider.limits import Room

_OURS: Final = frozenset({"sequence_number", "obfuscation"})
_BEGINS: Final = frozenset({"response.created", "response.queued", "response.in_progress"})
_SAYS_ALL: Final[dict[str, Any]] = {"type": "message"}  # all of the text, without a word of its own


class ResponseReader:
    """An event that makes no sense is passed over: the response is whole without it."""

    def __init__(self, max_chars: int = sys.maxsize) -> None:
        self.room = Room(max_chars)
        self._halves = Halves()
        self._open: Place | None = None
        self._told = Told()
        self.is_over = False

    def read(self, said: Any) -> Iterable[Piece]:
        kind = said["type"]
        if not isinstance(kind, str):
            return ()
        if kind == "response.output_text.delta":
            return self._text(_less_ours(said))
        if kind in _BEGINS:
            return (Piece(model=read_model(said.get("response") or {})),)
        if kind in ("response.completed", "response.incomplete"):
            self.is_over = True
            return (self._whole(said["response"]),)
        if kind in ("response.failed", "response.cancelled"):
            raise reported((said.get("response") or {}).get("error"))
        if kind == "error":
            raise reported(said)
        return self._passed(_less_ours(said)) if is_sound(said) else ()

    def end(self) -> Iterable[Piece]:
        if self.is_over:
            return ()
        if not self.room.is_full:
            raise stream_cut()
        return (Piece(body={"output": self._output()}),)

    def _passed(self, event: dict[str, Any]) -> Iterable[Piece]:
        kind = event["type"]
        if kind == "response.content_part.added" and event["part"].get("type") == "output_text":
            self._open = _place(event)
        if kind.endswith(".delta") and isinstance(event.get("delta"), str):
            return self._growth(event)
        return (Piece(data=self._told.lean(event)),)

    def _text(self, event: dict[str, Any]) -> Iterable[Piece]:
        place = _place(event)
        is_known = place == self._open
        text = self.room.take(self._halves.join(read_text(event.pop("delta")) or ""))
        if not text or not (is_known or is_sound(event)):
            return ()
        self._told.text(place, text)
        return (Piece(text=text, data=None if is_known and not event.get("logprobs") else event),)

    def _growth(self, event: dict[str, Any]) -> Iterable[Piece]:
        delta = self.room.take(mended(event.pop("delta")))
        if not delta:
            return ()
        self._told.growth(event, delta)
        return (Piece(delta=delta, data=event),)

    def _whole(self, response: dict[str, Any]) -> Piece:
        usage, output = read_usage(response.get("usage")), response.get("output")
        sound = {
            "usage": response["usage"] if usage else None,
            "output": output if are_items(output) else self._output(),
        }
        return Piece(
            finish_reason=_finish_reason(response),
            usage=usage,
            model=read_model(response),
            body=response | sound,
        )

    def _output(self) -> list[dict[str, Any]]:
        return self._told.output() or [_SAYS_ALL]


def _less_ours(said: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in said.items() if name not in _OURS}


def _finish_reason(response: dict[str, Any]) -> str:
    """In the word of a chat completion."""
    if response["status"] == "completed":
        return "stop"
    reason = (response.get("incomplete_details") or {}).get("reason")
    return "content_filter" if reason == "content_filter" else "length"


def _place(event: dict[str, Any]) -> Place:
    return event.get("item_id"), event["output_index"], event["content_index"]
