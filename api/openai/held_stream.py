"""Streams to openai clients.

An openai client chooses its exception class by the HTTP status, and a stream that has started has already sent 200.
A foreground stream is therefore held back until there is output, so that an earlier failure gets its own status.
A stream never ends cleanly before a final event or an error: the client would take it for a complete one.
"""

from collections.abc import Callable
from contextlib import ExitStack

from flask import Response

from api.openai.errors import OpenAIJobFailedError, unfinished_error
from api.openai.submission import Submission
from api.streaming import engine
from api.streaming.encoder import EventEncoder
from api.streaming.engine import JobStream, has_output


def stream_events(
    submission: Submission,
    encoder: EventEncoder,
    hold_seconds: float | None = None,
    on_end: Callable[[], None] | None = None,
) -> Response:
    """Stream all events of the job until it is final. A foreground stream begins after ``hold_seconds`` at the latest.

    Raises JobNotFound and StoreUnavailable. To a client in the foreground it also raises OpenAIJobFailedError for a job
    that failed before any output, ServerStopped when the server shuts down, and ClientDisconnected.
    """
    stream = JobStream(
        submission.record,
        encoder,
        on_disconnect=submission.on_disconnect,
        on_end=on_end,
        on_first_bytes=submission.mark_answered,  # an openai client never resends a call whose first byte it has
    )
    with ExitStack() as cleanup:
        cleanup.callback(stream.close)
        if submission.is_foreground:
            _hold_until_output(stream, submission, engine.MAX_HOLD_SECONDS if hold_seconds is None else hold_seconds)
        else:
            stream.first_events()
        cleanup.pop_all()
    return stream.respond()


def _hold_until_output(stream: JobStream, submission: Submission, seconds: float) -> None:
    events = stream.hold_until_output(submission.on_disconnect_after_grace, seconds)
    is_final = bool(events) and events[-1].is_final
    if stream.is_shutting_down and not is_final:
        raise unfinished_error(submission.record.job_id, is_shutting_down=True)
    error = events[-1].error if is_final else None
    if error is not None and not has_output(events):
        submission.mark_answered()
        raise OpenAIJobFailedError(submission.record.job_id, error)
