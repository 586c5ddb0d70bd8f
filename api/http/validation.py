"""Translates pydantic's errors for API users: the field and the reason, without repeating the input."""

import re
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from typing import Any, Final, Self
from urllib.parse import quote

from pydantic import BaseModel, Field, ValidationError
from pydantic_core import ErrorDetails, from_json

from jobs.errors import ChatqueueError, InvalidRequest, MalformedJson

MAX_ERRORS: Final = 20  # shown in one response, however many fields of a body are invalid
MAX_DEPTH: Final = 150  # levels in a body; pydantic reads up to 200, and stored and returned objects add further levels
MAX_MEMBERS: Final = 2_000  # of one object: pydantic reports every invalid one, and it is slow
MAX_CONTAINERS: Final = 50_000  # objects and arrays in one body; far above any conversation
_PREFIX_BYTES: Final = 384 * 1024
_STRING: Final = rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)'  # or cut off by the end
_STRINGS: Final = re.compile(rb"%b(?:[^\"{\[]*%b)*" % (_STRING, _STRING), re.DOTALL)  # with no bracket between them
_DEPTH_MARGIN: Final = 200 - MAX_DEPTH
_MESSAGES: Final = {
    "extra_forbidden": "unknown field",
    "missing": "is required",
    "union_tag_not_found": "is required",
}

_LENGTH_MESSAGES: Final = {
    "too_short": "must not be empty",  # no list needs more than one entry
    "too_long": "must have at most {max_length} entries",
}


class FieldError(BaseModel):
    """An invalid field of the body, or an invalid query parameter or header."""

    detail: str = Field(description="The reason.")
    pointer: str | None = Field(default=None, description="JSON Pointer to the field of the body.")
    parameter: str | None = Field(default=None, description="Name of the query parameter or header.")


class InvalidFields(InvalidRequest):
    """One or more fields of a request are invalid; ``errors`` lists them."""

    def __init__(self, param: str, errors: list[FieldError]) -> None:
        super().__init__(f"{param}: {errors[0].detail}" if param else errors[0].detail, param=param or None)
        self.errors = errors

    @classmethod
    def in_query(cls, names: Iterable[str], detail: str) -> Self:
        errors = [FieldError(parameter=name, detail=detail) for name in names]
        return cls(errors[0].parameter or "", errors[:MAX_ERRORS])


def check_depth(body: bytes) -> None:
    """Raises MalformedJson for JSON so deeply nested that it could not be read again once it is stored."""
    if body.count(b"{") + body.count(b"[") <= MAX_DEPTH:
        return
    try:
        from_json(b"[" * _DEPTH_MARGIN + body + b"]" * _DEPTH_MARGIN)
    except ValueError:
        raise MalformedJson(f"the body must not be nested more than {MAX_DEPTH} levels deep") from None


def check_width(body: bytes) -> None:
    """Raises MalformedJson for JSON with so many containers or members that reading it would take seconds.

    Pydantic reports every invalid member of an object, and needs much more memory for containers than for texts. Does
    nothing for a body that is not JSON, and next to nothing for one with few colons and brackets.
    """
    if _count_containers(body) > MAX_CONTAINERS:
        for part in (body[:_PREFIX_BYTES], body):  # most of the worst bodies show it at their beginning
            if _count_containers(_STRINGS.sub(b"", part)) > MAX_CONTAINERS:
                raise MalformedJson(f"the body must not have more than {MAX_CONTAINERS} objects and arrays")
    if body.count(b":") <= MAX_MEMBERS:
        return
    with suppress(ValueError):
        if _has_wide_object(from_json(body, cache_strings="none")):
            raise MalformedJson(f"an object in the body must not have more than {MAX_MEMBERS} members")


def _count_containers(body: bytes) -> int:
    return body.count(b"{") + body.count(b"[")


def _has_wide_object(document: Any) -> bool:
    containers = [document]
    while containers:
        container = containers.pop()
        if isinstance(container, dict):
            if len(container) > MAX_MEMBERS:
                return True
            container = container.values()
        elif not isinstance(container, list):
            continue
        containers.extend([part for part in container if isinstance(part, dict | list)])
    return False


def first_failures(error: ValidationError) -> list[ErrorDetails]:
    """The failures to show. They hold none of the input, so the error, which does, can be dropped."""
    return error.errors(include_url=False, include_input=False)[:MAX_ERRORS]


def from_failures(failures: list[ErrorDetails], data: bytes | dict[str, str], model: type[BaseModel]) -> ChatqueueError:
    """Translate pydantic's failures about this input to our error."""
    if failures[0]["type"] == "json_invalid":
        return MalformedJson(f"the body is not valid JSON: {failures[0]['ctx']['error']}")
    if isinstance(data, dict):
        names = [str(failure["loc"][0]) if failure["loc"] else "" for failure in failures]
        errors = [
            FieldError(parameter=name or None, detail=_detail(failure))
            for name, failure in zip(names, failures, strict=True)
        ]
        return InvalidFields(names[0], errors)
    document, tag = from_json(data), _discriminator(model)
    paths = [_path(failure, document, tag) for failure in failures]
    errors = [
        FieldError(pointer=_pointer(path), detail=_detail(failure))
        for path, failure in zip(paths, failures, strict=True)
    ]
    return InvalidFields(_param(paths[0]), errors)


@cache
def _discriminator(model: type[BaseModel]) -> str | None:
    """The discriminator field of a body that is a union of models; None for any other body."""
    name: str | None = model.model_json_schema().get("discriminator", {}).get("propertyName")
    return name


def _path(error: ErrorDetails, document: Any, discriminator: str | None) -> list[str | int]:
    """The path into the document: pydantic's ``loc`` without the names of union branches."""
    loc = list(error["loc"])
    if error["type"].startswith("union_tag") and discriminator:
        return [discriminator]
    if discriminator and loc and isinstance(document, dict) and document.get(discriminator) == loc[0]:
        del loc[0]
    path: list[str | int] = []
    for i, part in enumerate(loc):
        is_missing = error["type"] == "missing" and i == len(loc) - 1
        if is_missing or _contains(document, part):
            path.append(part)
            document = None if is_missing else document[part]
    return path


def _contains(document: Any, part: str | int) -> bool:
    if isinstance(document, dict):
        return part in document
    return isinstance(document, list) and isinstance(part, int) and 0 <= part < len(document)


def _pointer(path: list[str | int]) -> str:
    """A JSON Pointer (RFC 6901) as a URI fragment, as in RFC 9457."""
    return "#" + "".join("/" + quote(str(part).replace("~", "~0").replace("/", "~1"), safe="~") for part in path)


def _param(path: list[str | int]) -> str:
    """The path in OpenAI's notation: ``history[0].content``."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def _detail(error: ErrorDetails) -> str:
    """The reason, which never repeats the input."""
    if error["type"] == "union_tag_invalid":
        return f"must be one of {error['ctx']['expected_tags']}"
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    if template := _LENGTH_MESSAGES.get(error["type"]):
        return template.format(**error["ctx"])
    return _MESSAGES.get(error["type"]) or error["msg"][:1].lower() + error["msg"][1:]
