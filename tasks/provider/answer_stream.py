"""A streamed answer of the provider: bytes in, deltas out.

An answer that is complete is never lost to what comes after it, such as a broken connection or an unreadable event.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from jobs.errors import AttemptError
from openai_format.text import MALFORMED
from tasks.provider.body_decoder import BodyDecoder
from tasks.provider.errors import protocol_error, stream_cut
from tasks.provider.formats.delta import Delta, StreamParser, sanitize
from tasks.provider.limits import read_event
from tasks.provider.sse import DONE
from tasks.provider.timeouts import Timeouts

_CLOSE_TIMEOUT_SECONDS: Final = 0.1  # from the answer's last event to the end of the HTTP message; then we close
_USAGE_TIMEOUT_SECONDS: Final = 5.0  # from the finish reason to the usage; then we estimate it


class AnswerStream:
    """One streamed answer, from the bytes of the response to deltas."""

    def __init__(self) -> None:
        self._body = BodyDecoder()
        self._is_done = False  # [DONE] was received
        self._rest: list[Delta] = []  # deltas of an event that the end of the response has cut
        self.parser: StreamParser | None = None  # set once the provider has accepted the call
        self.progressed = False  # the last chunk held content of the answer, or the end of the stream
        self.is_over = False  # no delta follows: the provider has ended the answer, or the size budget is used up

    @property
    def is_complete(self) -> bool:
        """True if nothing that may still come is needed for the answer."""
        return self.is_over or (self.parser is not None and self.parser.is_complete)

    def deltas(self, chunk: bytes) -> Iterator[Delta]:
        """The deltas in one chunk of the response.

        Raises ProviderBroken, and the error that the stream reports, unless the answer is complete.
        """
        self.progressed = False
        if self.is_over:
            return
        try:
            yield from self._read(self._body.feed(chunk))
        except AttemptError:
            if not self.is_complete:
                raise
            self.progressed = self.is_over = True

    def end(self) -> None:
        """The response has ended, or its connection is broken: read an event that is not terminated."""
        if self.parser is not None and not self.is_over:
            try:
                self._rest += self._read(self._body.flush())
            except AttemptError:
                if not self.is_complete:
                    raise

    def flush(self) -> Iterable[Delta]:
        """The remaining deltas after ``end``. Raises ProviderRetryable if the response was cut off."""
        if self.parser is None:
            raise stream_cut()
        deltas = [*self._rest, *_checked(self.parser.finish, self._is_done)]
        return [*deltas, Delta(finish_reason="length")] if self.parser.budget.is_full else deltas

    def idle_timeout(self, timeouts: Timeouts) -> float:
        """Seconds to wait for the next chunk."""
        if self.is_over:
            return _CLOSE_TIMEOUT_SECONDS
        return min(timeouts.idle, _USAGE_TIMEOUT_SECONDS) if self.is_complete else timeouts.idle

    def _read(self, values: list[bytes]) -> Iterator[Delta]:
        assert self.parser is not None  # noqa: S101  # set before the first read
        for data in values:
            if data.startswith(DONE):
                self.progressed = self.is_over = self._is_done = True
                return
            for delta in _checked(self.parser.parse, read_event(data)):
                if delta.data is not None:  # deltas with data_delta are joined to one event later
                    self.parser.budget.take_data(0 if delta.data_delta else len(delta.data_json))
                self.progressed = self.progressed or delta.text != "" or delta.data is not None
                yield delta
            if self.parser.is_over or self.parser.budget.is_full:
                self.progressed = self.is_over = True
                return


def _checked(parse: Callable[..., Iterable[Delta]], *args: Any) -> list[Delta]:
    """The parser's deltas, sanitized. Raises ProviderBroken for malformed data."""
    try:
        return list(map(sanitize, parse(*args)))
    except MALFORMED:
        raise protocol_error() from None
