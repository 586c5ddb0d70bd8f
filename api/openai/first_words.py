"""A stream is held back until there is something of an answer in it: until then a refusal can be answered as one.

An openai client tells its classes of errors apart by the status, and that of a stream that has begun is 200.
"""

import time
from collections.abc import Iterable
from typing import Final

from api.http.disconnect import ClientLeft, presence_check
from api.http.event_stream import KEEPALIVE_SECONDS
from api.openai.errors import CallFailed, still_running
from api.openai.submission import Accepted
from api.services import services
from jobs.events import Event

HOLD_SECONDS: Final = KEEPALIVE_SECONDS  # no comment can be sent meanwhile
_WORDS: Final = frozenset({"delta", "upstream"})


def first_words(accepted: Accepted, batches: Iterable[tuple[Event, ...]]) -> tuple[Event, ...]:
    """What the log says up to the first word of an answer, to its end, or to the end of our patience.

    Raises CallFailed for a job that has failed without a word, StillRunning when the server stops, ClientLeft.
    """
    heard = _heard(accepted, batches)
    if services().listener.is_closed:
        raise still_running(accepted.record.job_id)
    error = heard[-1].error if heard and heard[-1].is_final else None
    if error is not None and not any(map(_is_word, heard)):
        accepted.answered()
        raise CallFailed(accepted.record.job_id, error)
    return heard


def _heard(accepted: Accepted, batches: Iterable[tuple[Event, ...]]) -> tuple[Event, ...]:
    check_presence, until = presence_check(), time.monotonic() + HOLD_SECONDS
    heard: tuple[Event, ...] = ()
    for events in batches:
        heard += events
        if any(map(_is_word, events)) or time.monotonic() >= until:
            break
        try:
            check_presence()
        except ClientLeft:
            if accepted.leave_late is not None:
                accepted.leave_late()
            raise
    return heard


def _is_word(event: Event) -> bool:
    return event.type in _WORDS
