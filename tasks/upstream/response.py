"""A response of a provider that speaks Responses: its events pass as they came, but for what a front says itself."""

from collections.abc import Iterable
from typing import Any, Final

from jobs.errors import AttemptError, ProviderRejected, ProviderRetryable
from tasks.provider_errors import stream_cut, vendor_word
from tasks.upstream.piece import Halves, Piece, mended, read_model, read_text, read_usage

_OURS: Final = frozenset({"sequence_number", "obfuscation"})
_BEGINS: Final = frozenset({"response.created", "response.queued", "response.in_progress"})
_PASSING_CODES: Final = frozenset({None, "server_error", "rate_limit_exceeded"})

Place = tuple[Any, Any, Any]  # item_id, output_index, content_index


class ResponseReader:
    """A text that the log holds already, as the deltas of its part, is left out where a later event repeats it."""

    def __init__(self) -> None:
        self._halves = Halves()
        self._open: Place | None = None
        self._texts: dict[tuple[Any, Any], str] = {}
        self.is_over = False

    def read(self, said: Any) -> Iterable[Piece]:
        kind = said["type"]
        event = {name: value for name, value in said.items() if name not in _OURS}
        if kind in _BEGINS:
            return (Piece(model=read_model(said["response"])),)
        if kind in ("response.completed", "response.incomplete"):
            self.is_over = True
            return (_whole(said["response"]),)
        if kind in ("response.failed", "response.cancelled", "error"):
            raise _failure(said)
        if kind == "response.output_text.delta":
            return (self._text(event),)
        if kind == "response.content_part.added" and event["part"]["type"] == "output_text":
            self._open = _place(event)
        if kind.endswith(".delta") and isinstance(event.get("delta"), str):
            return (Piece(delta=mended(event.pop("delta")), data=event),)
        return (Piece(data=self._without_known_text(event)),)

    def end(self) -> Iterable[Piece]:
        if not self.is_over:
            raise stream_cut()
        return ()

    def _text(self, event: dict[str, Any]) -> Piece:
        text = self._halves.join(read_text(event.pop("delta")) or "")
        key = (event["output_index"], event["content_index"])
        self._texts[key] = self._texts.get(key, "") + text
        is_plain = _place(event) == self._open and not event.get("logprobs")
        return Piece(text=text, data=None if is_plain and text else event)

    def _without_known_text(self, event: dict[str, Any]) -> dict[str, Any]:
        index = event.get("output_index")
        match event["type"]:
            case "response.output_text.done":
                return self._lean(event, (index, event["content_index"]))
            case "response.content_part.done":
                return event | {"part": self._lean(event["part"], (index, event["content_index"]))}
            case "response.output_item.done" if isinstance(event["item"].get("content"), list):
                parts = [self._lean(part, (index, i)) for i, part in enumerate(event["item"]["content"])]
                return event | {"item": event["item"] | {"content": parts}}
        return event

    def _lean(self, part: dict[str, Any], key: tuple[Any, Any]) -> dict[str, Any]:
        known = self._texts.get(key)
        if known is None or part.get("text") != known:
            return part
        return {name: value for name, value in part.items() if name != "text"}


def _place(event: dict[str, Any]) -> Place:
    return event["item_id"], event["output_index"], event["content_index"]


def _whole(response: dict[str, Any]) -> Piece:
    reason = (response.get("incomplete_details") or {}).get("reason")
    is_whole = response["status"] == "completed"
    return Piece(
        finish_reason="stop" if is_whole else "content_filter" if reason == "content_filter" else "length",
        usage=read_usage(response.get("usage")),
        model=read_model(response),
        body=response,
    )


def _failure(said: dict[str, Any]) -> AttemptError:
    """A response that failed at the provider; of its words only the code is kept."""
    error = said if said["type"] == "error" else said["response"].get("error") or {}
    code = vendor_word(error.get("code"))
    told = f"the provider ended the response with an error ({code or 'no code'})"
    if code not in _PASSING_CODES:
        return ProviderRejected(told, code="provider_rejected_request")
    return ProviderRetryable(
        told, code="provider_rate_limited" if code == "rate_limit_exceeded" else "provider_unavailable"
    )
