"""flask-smorest as the API of OpenAI has it: loose where the native API is strict, and 400 where that says 422."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from flask import Request, Response

from api.http import problems, pydantic_smorest
from api.http.pydantic_smorest import View
from jobs.errors import InvalidRequest


class OpenAIParser(pydantic_smorest.Parser):
    DEFAULT_VALIDATION_STATUS = HTTPStatus.BAD_REQUEST

    def load_querystring(self, req: Request, schema: Any) -> dict[str, str]:  # noqa: ARG002  # webargs' signature
        """What is given twice, as clients write lists, is none of what we read."""
        return dict(req.args.items())


class OpenAIBlueprint(pydantic_smorest.Blueprint):
    """Views answer objects as OpenAI shapes them: a response's model describes them, and touches them not."""

    ARGUMENTS_PARSER = OpenAIParser()
    REJECT_UNKNOWN_QUERY = False

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.register_error_handler(InvalidRequest, _render_invalid)

    def response(self, status_code: int, schema: Any = None, **options: Any) -> Callable[[View], View]:
        return self.alt_response(status_code, schema=schema, **options)


def _render_invalid(error: InvalidRequest) -> Response:
    return problems.render(error, status=HTTPStatus.BAD_REQUEST)
