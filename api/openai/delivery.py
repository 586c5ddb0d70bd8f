"""An answer on its way to who made the call."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

from flask import Response, jsonify

from api.http.disconnect import ClientDisconnected, disconnect_check
from api.openai.submission import Submission


def track_delivery(submission: Submission, answer: dict[str, Any] | Response) -> Response:
    """The same answer, which notes that the call is answered once it has left as a whole for a client that is there."""
    response = answer if isinstance(answer, Response) else jsonify(answer)
    response.response = _mark_when_sent(response.response, disconnect_check(), submission.mark_answered)
    return response


def _mark_when_sent(
    parts: Iterable[Any], check_disconnect: Callable[[], None], mark_answered: Callable[[], None]
) -> Iterator[Any]:
    with suppress(ClientDisconnected):
        check_disconnect()
        yield from parts
        mark_answered()
