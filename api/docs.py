"""Swagger UI at /docs, served from an installed package, and the OpenAPI document at /openapi.json."""

from pathlib import Path
from typing import Any, Final

import flask_swagger_ui
from flask import Blueprint, Flask, json, redirect, request, url_for

from api.http.pydantic_smorest import Api

_ASSETS: Final = "/docs/assets"
_DOCUMENT_VIEW: Final = "api-docs.openapi_json"  # flask-smorest's

OPENAPI: Final[dict[str, Any]] = {
    "API_TITLE": "chatqueue",
    "API_VERSION": "v1",
    "OPENAPI_VERSION": "3.1.0",
    "OPENAPI_URL_PREFIX": "/",
    "OPENAPI_JSON_PATH": "openapi.json",
    "OPENAPI_SWAGGER_UI_PATH": "/docs",
    # Relative to the page: they work behind a proxy that removes a prefix of which the app does not know.
    "OPENAPI_SWAGGER_UI_URL": f".{_ASSETS}/",
    "OPENAPI_SWAGGER_UI_CONFIG": {"url": "./openapi.json"},
    "API_SPEC_OPTIONS": {
        "security": [{"apiKey": []}, {}],
        "info": {
            "description": "Durable LLM calls behind a queue. Every call accepted with a 2xx status reaches a final "
            "state, even if a process dies. Errors are `application/problem+json` with OpenAI's `error` member."
        },
    },
}

_API_KEY: Final = {
    "type": "http",
    "scheme": "bearer",
    "description": "An API key, `sk-cq-...`. Only on a server with `CHATQUEUE_ADMIN_KEY`.",
}

blueprint = Blueprint(
    "docs", __name__, static_folder=Path(flask_swagger_ui.__file__).parent / "dist", static_url_path=_ASSETS
)


@blueprint.get("/")
def to_docs() -> Any:
    return redirect(url_for("api-docs.openapi_swagger_ui"))


def serve_document(app: Flask, api: Api) -> None:
    """Serve the OpenAPI document with the path prefix of the request as its server."""
    api.spec.components.security_scheme("apiKey", _API_KEY)  # not in OPENAPI: apispec adds components to what it gets

    def show_document() -> Any:
        servers = {"servers": [{"url": request.root_path}]} if request.root_path else {}
        document = json.dumps(api.spec.to_dict() | servers, indent=2, sort_keys=False)
        return app.response_class(document, mimetype="application/json")

    app.view_functions[_DOCUMENT_VIEW] = show_document
