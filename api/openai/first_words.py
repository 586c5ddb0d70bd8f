"""A stream is held back until there is something of an answer in it: until then a refusal can be answered as one.

An openai client tells its classes of errors apart by the status, and that of a stream that has begun is 200.
"""

import time
from collections.abc import Iterable
from typing import Final

from api.http.disconnect import ClientDisconnected, disconnect_check
from api.http.event_stream import KEEPALIVE_SECONDS
from api.openai.errors import OpenAIJobFailedError, still_running_error
from api.openai.submission import Submission
from api.services import services
from jobs.events import Event

HOLD_SECONDS: Final = KEEPALIVE_SECONDS  # no comment can be sent meanwhile
_OUTPUT_TYPES: Final = frozenset({"delta", "upstream"})


def wait_for_first_output(submission: Submission, batches: Iterable[tuple[Event, ...]]) -> tuple[Event, ...]:
    """What the log says up to the first word of an answer, to its end, or to the end of our patience.

    Raises OpenAIJobFailedError for a job that has failed without a word, StillRunning when the server stops,
    ClientDisconnected.
    """
    events_so_far = _collect_events(submission, batches)
    if services().listener.is_closed:
        raise still_running_error(submission.record.job_id)
    error = events_so_far[-1].error if events_so_far and events_so_far[-1].is_final else None
    if error is not None and not any(map(_is_output, events_so_far)):
        submission.mark_answered()
        raise OpenAIJobFailedError(submission.record.job_id, error)
    return events_so_far


def _collect_events(submission: Submission, batches: Iterable[tuple[Event, ...]]) -> tuple[Event, ...]:
    check_disconnect, deadline = disconnect_check(), time.monotonic() + HOLD_SECONDS
    events_so_far: tuple[Event, ...] = ()
    for events in batches:
        events_so_far += events
        if any(map(_is_output, events)) or time.monotonic() >= deadline:
            break
        try:
            check_disconnect()
        except ClientDisconnected:
            if submission.on_disconnect_after_grace is not None:
                submission.on_disconnect_after_grace()
            raise
    return events_so_far


def _is_output(event: Event) -> bool:
    return event.type in _OUTPUT_TYPES
