"""Server-sent events as an openai client reads them: told from the job's log, live or long after.

A stream always ends with a final event: the client takes one that is cut for one that is whole. Only when the server
itself stops is it cut, and may be resumed elsewhere.
"""

import json
import time
from collections.abc import Callable, Generator
from contextlib import closing
from typing import Any, Final, Protocol

from flask import Response

from api.event_stream import streamed, tick_seconds
from api.openai.seen import Seen, seen
from api.services import Services, services
from jobs import reading
from jobs.errors import JobNotFound, StoreUnavailable
from jobs.events import Event
from jobs.following import follow

RETRY_SECONDS: Final = 0.5  # between two tries to read the answer while Redis is away


class Narration(Protocol):
    """What one reader is told, as bytes on the wire."""

    is_over: bool  # nothing more can be told

    def opening(self) -> bytes: ...
    def tell(self, event: Event) -> bytes: ...
    def ending(self, at_end: Seen) -> bytes: ...
    def lost(self) -> bytes: ...


def stream(begin: Seen, narration: Narration, leave: Callable[[], None] | None = None) -> Response:
    """All that a reader is told, live, until the job's last event. ``leave`` is called when the client leaves before.

    Raises JobNotFound and StoreUnavailable; once it has begun, an outage is waited out.
    """
    here = services()
    is_running = not begin.record.state.is_final
    bundles = follow(here.store, here.listener, begin.record.job_id, -1, tick_seconds(leave), is_running=is_running)
    first = next(bundles)  # while an error can still be answered as one
    return streamed(here, _Teller(here, begin, narration).tell_all(first, bundles), leave)


def frame(data: dict[str, Any], name: str | None = None) -> bytes:
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(data, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()


class _Teller:
    def __init__(self, here: Services, begin: Seen, narration: Narration) -> None:
        self._here = here
        self._begin = begin
        self._narration = narration
        self._has_ended = False

    def tell_all(self, first: tuple[Event, ...], bundles: Generator[tuple[Event, ...]]) -> Generator[bytes]:
        with closing(bundles):
            yield self._narration.opening() + self._tell(first)
            for events in bundles:
                yield self._tell(events)
                if self._narration.is_over:
                    return
        if not self._has_ended and not self._here.listener.is_closed:
            yield self._narration.lost()

    def _tell(self, events: tuple[Event, ...]) -> bytes:
        return b"".join(map(self._tell_one, events))

    def _tell_one(self, event: Event) -> bytes:
        if self._narration.is_over:
            return b""
        if not event.is_final:
            return self._narration.tell(event)
        self._has_ended = True
        at_end = self._read_end()
        return self._narration.lost() if at_end is None else self._narration.ending(at_end)

    def _read_end(self) -> Seen | None:
        """None when the job has been deleted since."""
        while True:
            try:
                return seen(reading.view(self._here.store, self._begin.record.job_id), self._begin.request)
            except JobNotFound:
                return None
            except StoreUnavailable:
                time.sleep(RETRY_SECONDS)
