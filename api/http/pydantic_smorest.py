"""flask-smorest with pydantic models in place of marshmallow schemas.

Blueprint.arguments(Model)  ── view_arguments ──> the view gets a model of the body, the query or the headers
Blueprint.response(Model)   ── json_response ──> the view's model is written as JSON, once
both, and Api               ── PydanticSchema, PydanticConverter ──> OpenAPI 3.1: pydantic's own JSON Schema

flask-smorest describes the views, and takes no part in a request.

It uses public extension points, with four exceptions: ``Api`` overrides ``_register_error_handlers``,
``_register_responses`` and ``_register_pagination_header``, and the decorators write a view's ``_apidoc``. They have
no public counterpart, so pyproject.toml limits flask-smorest to the minor version that this module was written for.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, wraps
from http import HTTPStatus
from typing import Any, ClassVar, TypeVar, cast

import flask_smorest
import marshmallow
from apispec.ext.marshmallow import MarshmallowPlugin
from apispec.ext.marshmallow.openapi import OpenAPIConverter
from flask import Flask, Response, current_app, request
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode

from api.http import problems
from api.http.json_response import JsonResponse
from api.http.validation import InvalidFields
from api.http.view_arguments import VALIDATION_CONTEXT, ArgumentReader, BodyReader, HeadersReader, QueryReader

View = TypeVar("View", bound=Callable[..., Any])
PROBLEM_TYPE = "application/problem+json"
_REF = "#/components/schemas/{model}"


@dataclass(frozen=True)
class SchemaOptions:
    """How an app validates and documents its models.

    ``context`` is pydantic's validation context. A JSON Schema with ``context_max_length: name`` gets the value of that
    name as its maxLength. ``describe`` completes the descriptions of the schema of that name.
    """

    context: Mapping[str, int] = field(default_factory=dict)
    context_max_length: str = "x-max-length"
    describe: Callable[[str, dict[str, Any]], None] = lambda _name, _schema: None

    def complete(self, name: str, schema: dict[str, Any]) -> dict[str, Any]:
        completed: dict[str, Any] = self._with_limits(schema)
        self.describe(name, completed)
        return completed

    def _with_limits(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._with_limits(item) for item in value]
        if not isinstance(value, dict):
            return value
        limits = {"maxLength": self.context[value[self.context_max_length]]} if self.context_max_length in value else {}
        rest = {name: self._with_limits(item) for name, item in value.items() if name != self.context_max_length}
        return rest | limits


class PydanticSchema(marshmallow.Schema):
    """A marshmallow schema in name only: it stands for a pydantic model in the OpenAPI document."""

    class Meta:
        register = False

    model: ClassVar[type[BaseModel]]


@cache
def schema_of(model: type[BaseModel]) -> type[PydanticSchema]:
    return type(f"{model.__name__}Schema", (PydanticSchema,), {"model": model})


def _to_schema(schema: Any) -> Any:
    is_model = isinstance(schema, type) and issubclass(schema, BaseModel)
    return schema_of(schema)() if is_model else schema


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]  # untyped
    """Accepts pydantic models where flask-smorest accepts schemas. Rejects unknown query arguments."""

    INVALID_STATUS = HTTPStatus.UNPROCESSABLE_ENTITY
    REJECT_UNKNOWN_QUERY = True

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if self.REJECT_UNKNOWN_QUERY:
            self.before_request(_reject_unknown_query)

    def arguments(self, model: type[BaseModel], *, location: str = "json", **options: Any) -> Callable[[View], View]:
        """Pass the body, the query or the headers to the view. flask-smorest only describes them."""
        reader = self._reader(model, location)
        describe = super().arguments(
            _to_schema(model), location=location, error_status_code=self.INVALID_STATUS, **options
        )

        def decorator(view: View) -> View:
            @wraps(view)
            def with_argument(*args: Any, **path: Any) -> Any:
                return view(*args, reader.read(request), **path)

            with_argument._apidoc = describe(view)._apidoc  # type: ignore[attr-defined]  # noqa: SLF001
            if location == "query":
                with_argument.accepts_query = True  # type: ignore[attr-defined]  # wraps copies it to outer wrappers
            return cast("View", with_argument)

        return decorator

    def _reader(self, model: type[BaseModel], location: str) -> ArgumentReader:
        if location == "query":
            return QueryReader(model, refuses_repetition=self.REJECT_UNKNOWN_QUERY)
        return HeadersReader(model) if location == "headers" else BodyReader(model)

    def route(self, rule: str, **options: Any) -> Callable[[View], View]:
        decorator: Callable[[View], View] = super().route(rule, **options)
        return decorator

    def response(self, status_code: int, schema: Any = None, **options: Any) -> Callable[[View], View]:
        """Answer with what the view returns: a model, a model with status and headers, or a complete response."""
        describe = super().response(status_code, _to_schema(schema), **options)

        def decorator(view: View) -> View:
            @wraps(view)
            def answering(*args: Any, **path: Any) -> Response:
                result = view(*args, **path)
                if isinstance(result, Response):
                    return result
                body, status, headers = result if isinstance(result, tuple) else (result, status_code, None)
                return JsonResponse(body.model_dump_json(by_alias=True), status, headers)

            answering._apidoc = describe(view)._apidoc  # type: ignore[attr-defined]  # noqa: SLF001
            return cast("View", answering)

        return decorator

    def alt_response(self, status_code: int, response: Any = None, **options: Any) -> Callable[[View], View]:
        """Document a response without flask-smorest's wrapper, which would add a call to each request."""
        options["schema"] = _to_schema(options.get("schema"))
        describe = super().alt_response(status_code, response, **options)

        def decorator(view: View) -> View:
            view._apidoc = describe(view)._apidoc  # type: ignore[attr-defined]  # noqa: SLF001
            return view

        return decorator

    def event_stream(self, message: type[BaseModel], **options: Any) -> Callable[[View], View]:
        """Document 200 as a stream of server-sent events, in addition to other content types.

        OpenAPI before 3.2 cannot describe a stream, so the schema describes one message.
        """
        return self.alt_response(200, schema=message, content_type="text/event-stream", **options)

    def raw_body(self, request_body: dict[str, Any]) -> Callable[[View], View]:
        """Document a body that no model validates. ``request_body`` is an OpenAPI Request Body Object."""
        decorator: Callable[[View], View] = self.doc(requestBody=request_body)
        return decorator

    def problems(self, *statuses: int, needs_key: bool = True) -> Callable[[View], View]:
        """Document the errors of a view. 500 is added to every view, and 401 and 403 to those that need an API key."""
        of_door = {401, 403} if needs_key else set()

        def decorator(view: View) -> View:
            for status in sorted({*statuses, *of_door, 500}):
                view = self.alt_response(status, HTTPStatus(status).name)(view)
            return view

        return decorator


def _reject_unknown_query() -> None:
    if not request.environ.get("QUERY_STRING"):
        return
    view = current_app.view_functions.get(request.endpoint or "")
    if request.args and not getattr(view, "accepts_query", False):
        raise InvalidFields.in_query(list(request.args), "unknown query argument")


class PydanticConverter(OpenAPIConverter):
    """Documents PydanticSchemas by the JSON Schema of their model. Each model serves either requests or responses."""

    options = SchemaOptions()

    def resolve_nested_schema(self, schema: Any) -> Any:
        model = getattr(schema, "model", None)
        if model is None:
            return super().resolve_nested_schema(schema)  # type: ignore[no-untyped-call]
        self._register(model)
        return {"$ref": _REF.format(model=model.__name__)}

    def schema2parameters(self, schema: Any, *, location: str, **_options: Any) -> list[dict[str, Any]]:
        json_schema = _json_schema(schema.model, "validation")
        self._register_all(json_schema.pop("$defs", {}))
        required = json_schema.get("required", [])
        return [
            _parameter(name, location, name in required, property_schema)
            for name, property_schema in json_schema["properties"].items()
        ]

    def _register(self, model: type[BaseModel]) -> None:
        if model.__name__ in self.spec.components.schemas:
            return
        is_request = model.model_config.get("extra") in ("forbid", "allow")  # response models set neither
        json_schema = _json_schema(model, "validation" if is_request else "serialization")
        self._register_all(json_schema.pop("$defs", {}) | {model.__name__: json_schema})

    def _register_all(self, definitions: dict[str, Any]) -> None:
        for name, definition in definitions.items():
            if name not in self.spec.components.schemas:
                self.spec.components.schema(name, self.options.complete(name, definition))


def _json_schema(model: type[BaseModel], mode: JsonSchemaMode) -> dict[str, Any]:
    """A copy that the caller may change."""
    schema: dict[str, Any] = json.loads(_json_schema_text(model, mode))
    return schema


@cache  # pydantic takes 0.1 s for all models, at every app that a process creates
def _json_schema_text(model: type[BaseModel], mode: JsonSchemaMode) -> str:
    return json.dumps(model.model_json_schema(ref_template=_REF, mode=mode))


def _parameter(name: str, location: str, required: bool, property_schema: dict[str, Any]) -> dict[str, Any]:
    """An optional parameter is never null: a query or a header cannot contain null."""
    options = [option for option in property_schema.pop("anyOf", []) if option != {"type": "null"}]
    if options:
        property_schema |= options[0]
    if property_schema.get("default", ...) is None:
        del property_schema["default"]
    return {
        "name": name,
        "in": {"headers": "header"}.get(location, location),
        "required": required,
        "description": property_schema.pop("description", ""),
        "schema": property_schema,
    }


class PydanticPlugin(MarshmallowPlugin):
    Converter = PydanticConverter

    def __init__(self, options: SchemaOptions) -> None:
        super().__init__()
        self._options = options

    def init_spec(self, spec: Any) -> None:
        super().init_spec(spec)
        cast("PydanticConverter", self.converter).options = self._options


class Api(flask_smorest.Api):  # type: ignore[misc]  # untyped
    """Describes errors as problem+json, without the schemas of flask-smorest that are not used here."""

    ERROR_SCHEMA = schema_of(problems.Problem)
    DEFAULT_ERROR_RESPONSE_NAME = None

    def __init__(self, app: Flask, options: SchemaOptions) -> None:
        app.extensions[VALIDATION_CONTEXT] = options.context
        super().__init__(app, spec_kwargs={"marshmallow_plugin": PydanticPlugin(options)})

    def _register_error_handlers(self) -> None:
        problems.register(self._app)

    def _register_responses(self) -> None:
        for status in HTTPStatus:
            body = {"schema": self.ERROR_SCHEMA, "example": problems.example(status)}
            response = {"description": problems.status_description(status), "content": {PROBLEM_TYPE: body}}
            self.spec.components.response(status.name, response, lazy=True)

    def _register_pagination_header(self) -> None:
        """Registers nothing: pages have cursors, which are in the body."""
