"""Swagger UI at /docs, served from an installed package, and the OpenAPI document at /openapi.json."""

from pathlib import Path
from typing import Any, Final

import flask_swagger_ui
from flask import Blueprint, redirect

_ASSETS: Final = "/docs/assets"

OPENAPI: Final[dict[str, Any]] = {
    "API_TITLE": "chatqueue",
    "API_VERSION": "v1",
    "OPENAPI_VERSION": "3.1.0",
    "OPENAPI_URL_PREFIX": "/",
    "OPENAPI_JSON_PATH": "openapi.json",
    "OPENAPI_SWAGGER_UI_PATH": "/docs",
    "OPENAPI_SWAGGER_UI_URL": f"{_ASSETS}/",
    "API_SPEC_OPTIONS": {
        "info": {
            "description": "Durable LLM calls behind a queue. Every call accepted with a 2xx status reaches a final "
            "state, even if a process dies. Errors are `application/problem+json` with OpenAI's `error` member."
        }
    },
}

blueprint = Blueprint(
    "docs", __name__, static_folder=Path(flask_swagger_ui.__file__).parent / "dist", static_url_path=_ASSETS
)


@blueprint.get("/")
def to_docs() -> Any:
    return redirect("/docs")
