"""An answer on its way to who made the call."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

from flask import Response, jsonify

from api.http.disconnect import ClientLeft, presence_check
from api.openai.submission import Accepted


def delivered(accepted: Accepted, answer: dict[str, Any] | Response) -> Response:
    """The same answer, which notes that the call is answered once it has left as a whole for a client that is there."""
    response = answer if isinstance(answer, Response) else jsonify(answer)
    response.response = _noted(response.response, presence_check(), accepted.answered)
    return response


def _noted(parts: Iterable[Any], check_presence: Callable[[], None], answered: Callable[[], None]) -> Iterator[Any]:
    with suppress(ClientLeft):
        check_presence()
        yield from parts
        answered()
