"""Reads bodies and queries in OpenAI's shape: pydantic's errors become ours, which name the param."""

from typing import TypeVar

from flask import request
from pydantic import BaseModel

from api.pydantic_smorest import Parser, schema_of

Model = TypeVar("Model", bound=BaseModel)


def read_body(model: type[Model]) -> Model:
    """Of this request. Raises InvalidRequest, UnsupportedMediaType, BodyTooLarge."""
    body: Model = schema_of(model)().load(Parser().load_json(request, None))
    return body


def read_query(model: type[Model]) -> Model:
    query: Model = schema_of(model)().load(dict(request.args.items()))
    return query
