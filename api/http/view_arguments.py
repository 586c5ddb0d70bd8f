"""Reads the arguments of a view from its request: the body, the query or the headers, each into one pydantic model."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Protocol

from flask import Request, current_app
from pydantic import BaseModel, ValidationError
from webargs.core import is_json

from api.http.json_body import read_json_body
from api.http.validation import InvalidFields, check_depth, check_width, first_failures, from_failures
from jobs.errors import UnsupportedMediaType

VALIDATION_CONTEXT: Final = "pydantic_context"  # name of the app extension with the limits that models look up


class ArgumentReader(Protocol):
    """Reads one argument of a view. Raises InvalidFields, and for a body the errors of ``read_json_body``."""

    @property
    def model(self) -> type[BaseModel]: ...

    def read(self, request: Request) -> Any: ...


@dataclass(frozen=True)
class BodyReader:
    """A JSON body. It is validated from its bytes: parsing it first would lose types."""

    model: type[BaseModel]

    def read(self, request: Request) -> Any:
        """The body as a model. Raises UnsupportedMediaType, InvalidFields and the errors of ``read_json_body``."""
        if not is_json(request.mimetype):
            raise UnsupportedMediaType("the body must be JSON, with Content-Type: application/json")
        return validate_json(self.model, read_json_body(request), current_app.extensions[VALIDATION_CONTEXT])


@dataclass(frozen=True)
class QueryReader:
    """The query. A repeated parameter is refused, or has its first value."""

    model: type[BaseModel]
    refuses_repetition: bool = True

    def read(self, request: Request) -> Any:
        """The query as a model. Raises InvalidFields."""
        values = request.args
        if self.refuses_repetition and (repeated := [name for name, entries in values.lists() if len(entries) > 1]):
            raise InvalidFields.in_query(repeated, "must be given once")
        return _validate_strings(self.model, values.to_dict())


@dataclass(frozen=True)
class HeadersReader:
    """The headers that the model names; others are ignored."""

    model: type[BaseModel]

    @cached_property
    def _names(self) -> Mapping[str, str]:
        """The name of each header in the WSGI environment, and in the model."""
        names = [field.alias or name for name, field in self.model.model_fields.items()]
        return {f"HTTP_{name.upper().replace('-', '_')}": name for name in names}

    def read(self, request: Request) -> Any:
        """The headers as a model. Raises InvalidFields."""
        environ = request.environ
        return _validate_strings(
            self.model, {name: environ[key] for key, name in self._names.items() if key in environ}
        )


def validate_json(model: type[BaseModel], body: bytes, context: Mapping[str, int]) -> Any:
    """The body as a model. Raises InvalidFields and MalformedJson."""
    check_width(body)
    try:
        loaded = model.model_validate_json(body, context=context)
    except ValidationError as error:
        failures = first_failures(error)
    else:
        check_depth(body)
        return loaded
    raise from_failures(failures, body, model)  # raised after pydantic's error, which holds the input, was dropped


def _validate_strings(model: type[BaseModel], values: dict[str, str]) -> Any:
    try:
        return model.model_validate_strings(values)
    except ValidationError as error:
        failures = first_failures(error)
    raise from_failures(failures, values, model)
