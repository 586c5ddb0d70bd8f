"""A response as it is shown to who asks for it later: with what its stream has told."""

from typing import Any

from api.openai.encoding.response import response_object
from api.openai.encoding.response_events import STATES_WITHOUT_ANSWER, ResponseEventBuilder
from api.openai.snapshot import JobSnapshot
from jobs import queries
from jobs.events import read_events
from jobs.storage.store import Store


def response_with_partial_output(store: Store, snapshot: JobSnapshot) -> dict[str, Any]:
    """One that failed or was cancelled keeps the items that its last attempt had finished, and its text so far.

    They stand in the log alone, which is read for such a response only: once for each time that it is asked for.
    """
    response = response_object(snapshot)
    if snapshot.record.state in STATES_WITHOUT_ANSWER:
        response["output"] = _partial_output(store, snapshot) or response["output"]
    return response


def _partial_output(store: Store, snapshot: JobSnapshot) -> list[dict[str, Any]]:
    """Nothing when the log has expired, as that of a native chat does before its answer."""
    record = snapshot.record
    begin = max(0, record.log_start - 1)  # where the last attempt says that it begins
    lines = store.run(queries.events(record.job_id, begin, record.log_length or 0))
    events = ResponseEventBuilder(record.job_id, lambda _: {})
    for event in read_events(lines, begin):
        events.translate(event)
    return events.output()
