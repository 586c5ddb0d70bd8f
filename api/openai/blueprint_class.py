"""The blueprint of /v1. It is more lenient than the native API, and returns 400 for the native API's 422."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from flask import Response

from api.http import problems, pydantic_smorest
from api.http.pydantic_smorest import View
from jobs.errors import InvalidRequest


class OpenAIBlueprint(pydantic_smorest.Blueprint):
    """Views return objects in OpenAI's format. The model of a response documents them and does not serialize them."""

    INVALID_STATUS = HTTPStatus.BAD_REQUEST
    REJECT_UNKNOWN_QUERY = False  # and of a repeated one the first value counts: clients repeat one to send a list

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.register_error_handler(InvalidRequest, _render_invalid)

    def add_url_rule(self, rule: str, *args: Any, **options: Any) -> None:
        """A slash at the end of a path is ignored, as by OpenAI."""
        super().add_url_rule(rule, *args, **{"strict_slashes": False, **options})

    def response(self, status_code: int, schema: Any = None, **options: Any) -> Callable[[View], View]:
        return self.alt_response(status_code, schema=schema, **options)


def _render_invalid(error: InvalidRequest) -> Response:
    return problems.render(error, status=HTTPStatus.BAD_REQUEST)
