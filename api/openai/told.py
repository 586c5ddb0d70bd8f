"""A response as it is shown to who asks for it later: with what its stream has told."""

from typing import Any

from api.openai.encoding.response import response_object
from api.openai.encoding.response_events import WITHOUT_ANSWER, ResponseEvents
from api.openai.snapshot import Seen
from jobs import queries
from jobs.events import read_events
from jobs.storage.store import Store


def told_response(store: Store, seen: Seen) -> dict[str, Any]:
    """One that failed or was cancelled keeps the items that its last attempt had finished, and its text so far.

    They stand in the log alone, which is read for such a response only: once for each time that it is asked for.
    """
    response = response_object(seen)
    if seen.record.state in WITHOUT_ANSWER:
        response["output"] = _told(store, seen) or response["output"]
    return response


def _told(store: Store, seen: Seen) -> list[dict[str, Any]]:
    """Nothing when the log has expired, as that of a native chat does before its answer."""
    record = seen.record
    begin = max(0, record.log_start - 1)  # where the last attempt says that it begins
    lines = store.run(queries.events(record.job_id, begin, record.log_length or 0))
    events = ResponseEvents(record.job_id, lambda _: {})
    for event in read_events(lines, begin):
        events.translate(event)
    return events.output()
