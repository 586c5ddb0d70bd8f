"""previous_response_id: a conversation goes on from what we have on record of it."""

from typing import Any

from api.openai.items import as_earlier
from api.openai.refusals import BadParameter, PreviousNotFound
from api.openai.seen import find
from jobs.errors import JobNotFound
from jobs.states import State
from jobs.store import Store


def earlier_items(store: Store, previous_id: str) -> tuple[dict[str, Any], ...]:
    """All that was said up to there, as the items that come before the new input.

    Raises PreviousNotFound, also for one that has expired or was not stored, and BadParameter for one without an
    answer.
    """
    param = "previous_response_id"
    try:
        previous = find(store, previous_id, param)
    except JobNotFound:
        raise PreviousNotFound("no such previous response: it has expired, or never was", param=param) from None
    state = previous.record.state
    if state not in (State.COMPLETED, State.INCOMPLETE):
        raise BadParameter(f"a response that is {state} has no answer to go on from", param=param)
    return tuple(as_earlier(previous))
