"""The Flask app, which accepts requests. Never imports openai or a task body."""

from flask import Flask

from api import administration, chat, docs, documents, health, metrics, openai, providers, queue, tasks
from api import document_content as document_content  # its views belong to the blueprint of documents
from api.http import authentication, browser_guard, json_body, path_prefix, paths, request_metrics
from api.http.pydantic_smorest import Api, SchemaOptions
from api.schemas.descriptions import describe
from api.services import install, services_of
from jobs.requests import CONTEXT_MAX_LENGTH, MAX_MESSAGE_CHARS
from jobs.settings import Settings, get_settings

PREFIX = "/api/v1"
_NATIVE = (chat.blueprint, documents.blueprint, tasks.blueprint, queue.blueprint, providers.blueprint)


def create_app(settings: Settings | None = None) -> Flask:
    """The app, without any open connection: `gunicorn "api:create_app()"`, `flask --app api run`."""
    settings = settings or get_settings()
    app = Flask("api", static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]  # Flask's default provider has it
    app.config.from_mapping(docs.OPENAPI)
    app.url_map.converters["id"] = tasks.IdConverter
    install(app, settings)
    request_metrics.install(app, services_of(app).metrics.counts)
    api = Api(app, SchemaOptions({MAX_MESSAGE_CHARS: settings.max_message_chars}, CONTEXT_MAX_LENGTH, describe))
    paths.install(app)
    browser_guard.install(app, settings)
    authentication.install(app, settings)
    json_body.install(app, settings)
    for blueprint in (*_NATIVE, *administration.BLUEPRINTS):
        api.register_blueprint(blueprint, url_prefix=f"{PREFIX}{blueprint.url_prefix}")
    api.register_blueprint(health.blueprint)
    if settings.metrics:
        app.register_blueprint(metrics.blueprint)
    for blueprint in openai.BLUEPRINTS:
        api.register_blueprint(blueprint, url_prefix=f"{openai.PREFIX}{blueprint.url_prefix}")
    app.register_blueprint(docs.blueprint)
    docs.serve_document(app, api)
    path_prefix.install(app, settings)
    return app
