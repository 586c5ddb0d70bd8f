"""A streamed answer of the provider: bytes in, deltas out."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from openai_format.text import MALFORMED
from tasks.provider.errors import protocol_error, stream_cut
from tasks.provider.formats.delta import Delta, StreamParser, sanitize
from tasks.provider.limits import read_event
from tasks.provider.sse import SSEDecoder
from tasks.provider.timeouts import Timeouts

_DONE: Final = b"[DONE]"
_CLOSE_TIMEOUT_SECONDS: Final = 0.1  # from the answer's last event to the end of the HTTP message; then we close


class AnswerStream:
    """One streamed answer, from the bytes of the response to deltas."""

    def __init__(self) -> None:
        self._events = SSEDecoder()
        self.parser: StreamParser | None = None  # set once the provider has accepted the call
        self.progressed = False  # the last chunk held content of the answer, or the end of the stream
        self.is_over = False  # no delta follows: the provider has ended the answer, or the size budget is used up

    def deltas(self, chunk: bytes) -> Iterator[Delta]:
        """The deltas in one chunk of the response. Raises ProviderBroken, and the error that the stream reports."""
        assert self.parser is not None  # noqa: S101  # set before the first read
        self.progressed = False
        for data in () if self.is_over else self._events.feed(chunk):
            if data.startswith(_DONE):
                self.progressed = self.is_over = True
                return
            for delta in _checked(self.parser.parse, read_event(data)):
                if delta.data is not None:  # deltas with data_delta are joined to one event later
                    self.parser.budget.take_data(0 if delta.data_delta else len(delta.data_json))
                self.progressed = self.progressed or delta.text != "" or delta.data is not None
                yield delta
            if self.parser.is_over or self.parser.budget.is_full:
                self.progressed = self.is_over = True
                return

    def flush(self) -> Iterable[Delta]:
        """The remaining deltas after the end of the response. Raises ProviderRetryable if the response was cut off."""
        if self.parser is None:
            raise stream_cut()
        deltas = _checked(self.parser.finish)
        return [*deltas, Delta(finish_reason="length")] if self.parser.budget.is_full else deltas

    def idle_timeout(self, timeouts: Timeouts) -> float:
        """Seconds to wait for the next chunk."""
        return _CLOSE_TIMEOUT_SECONDS if self.is_over else timeouts.idle


def _checked(parse: Callable[..., Iterable[Delta]], *args: Any) -> list[Delta]:
    """The parser's deltas, sanitized. Raises ProviderBroken for malformed data."""
    try:
        return list(map(sanitize, parse(*args)))
    except MALFORMED:
        raise protocol_error() from None
