"""The answer of a view that has its whole JSON."""

from collections.abc import Mapping
from typing import Any

from flask import Response
from werkzeug.datastructures import Headers


class JsonResponse(Response):
    """A complete JSON body, already written. Header values must be ASCII."""

    default_mimetype = "application/json"

    def __init__(self, body: str, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(body, status, headers)

    def get_wsgi_headers(self, environ: Any) -> Headers:  # noqa: ARG002  # werkzeug's signature
        """The headers, which are complete. Werkzeug would search them for an IRI and count the bytes again."""
        return self.headers
