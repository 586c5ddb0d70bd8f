"""Errors of a request body in OpenAI's words: message, param and code. No value of the body is quoted, only names."""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from pydantic import Discriminator

_NAME: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_TAG: Final = "="  # begins the names of alternatives, which are not part of a path
_EXPECTED: Final = {
    "string_type": "a string",
    "int_type": "an integer",
    "float_type": "a decimal number",
    "bool_type": "a boolean",
    "list_type": "an array",
    "dict_type": "an object",
    "model_type": "an object",
}
_TYPE_NAMES: Final = {
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a decimal number",
    list: "an array",
    dict: "an object",
    type(None): "null",
}
_KINDS: Final[Mapping[type, str]] = {str: "string", list: "array", tuple: "array", dict: "object"}
_NUMBERS: Final = {
    "greater_than_equal": ("below", "minimum", ">=", "ge"),
    "less_than_equal": ("above", "maximum", "<=", "le"),
}


_LENGTHS: Final = {
    "too_short": ("empty array", "an array", "empty_array"),
    "too_long": ("array too long", "an array", "array_above_max_length"),
    "string_too_short": ("empty string", "a string", "empty_string"),
}


class BodyError(ValueError):
    """OpenAI would reject the body. ``param`` names the field; it is None if the body is not JSON."""

    def __init__(self, message: str, param: str | None = None, code: str | None = None, *, status: int = 400) -> None:
        super().__init__(message)
        self.param = param
        self.code = code
        self.status = status


def tag(name: str) -> str:
    """The tag of an alternative for `alternative_by` and `kind_of_value`."""
    return f"{_TAG}{name}"


def tag_of_any(names: Iterable[str]) -> str:
    """One tag for several names. In an error it reads as their list."""
    return tag("', '".join(names))


def alternative_by(field: str, default: str | None = None, others: Collection[str] = ()) -> Discriminator:
    """Chooses an alternative by a field, such as the type of a content part.

    ``default`` stands for an absent field. The ``others`` share the alternative with the tag `tag_of_any`.
    """

    def choose(value: Any) -> str | None:
        name = value.get(field, default) if isinstance(value, dict) else getattr(value, field, None)
        if not isinstance(name, str):
            return None
        return tag_of_any(others) if name in others else tag(name)

    choose.__name__ = field
    return Discriminator(choose)


def kind_of_value(expected: str, *kinds: str) -> Discriminator:
    """Chooses an alternative by the JSON type of the value. ``expected`` describes all of them in an error."""

    def choose(value: Any) -> str | None:
        kind = _KINDS.get(type(value))
        return tag(kind) if kind in kinds else None

    choose.__name__ = expected
    return Discriminator(choose)


def shown(name: object) -> str:
    """A name in an error message; not quoted if it could be any text."""
    return f"'{name}'" if isinstance(name, str) and _NAME.fullmatch(name) else "the given value"


def missing_parameter(param: str) -> BodyError:
    return BodyError(f"Missing required parameter: '{param}'.", param, "missing_required_parameter")


def invalid_value(param: str, value: object, supported: str) -> BodyError:
    return BodyError(f"Invalid value: {shown(value)}. Supported values are: {supported}.", param, "invalid_value")


def unsupported_parameter(param: str, remedy: str = "") -> BodyError:
    message = f"Unsupported parameter: '{param}' is not supported with this model.{remedy}"
    return BodyError(message, param, "unsupported_parameter")


def unsupported_value(param: str, value: str) -> BodyError:
    message = f"Unsupported value: '{param}' does not support {shown(value)} with this model."
    return BodyError(message, param, "unsupported_value")


def translate(failure: Mapping[str, Any]) -> BodyError:
    """The error for pydantic's first failure."""
    kind, value, context = failure["type"], failure.get("input"), failure.get("ctx", {})
    param = _param(failure["loc"])
    if not param or kind == "json_invalid":
        return BodyError("We could not parse the JSON body of your request.")
    if kind in _LENGTHS:
        return _length_error(kind, param, context)
    if kind in _NUMBERS:
        return _number_error(kind, param, value, context)
    if kind in _EXPECTED:
        return _type_error(param, _EXPECTED[kind], value)
    return _value_error(failure, param, value, context)


def _value_error(failure: Mapping[str, Any], param: str, value: Any, context: Mapping[str, Any]) -> BodyError:
    match failure["type"]:
        case "missing":
            return missing_parameter(param)
        case "union_tag_not_found" | "union_tag_invalid":
            return _alternative_error(param, value, context)
        case "literal_error":
            return invalid_value(param, value, str(context["expected"]).replace(" or ", " and "))
    return BodyError(f"Invalid '{param}': {failure['msg']}.", param, "invalid_value")


def _param(location: tuple[int | str, ...]) -> str:
    """The path as OpenAI writes it, for example ``messages[0].content[1].type``."""
    path = ""
    for step in location:
        if isinstance(step, int):
            path += f"[{step}]"
        elif not step.startswith(_TAG):
            path += f".{step}" if path else step
    return path


def _length_error(kind: str, param: str, context: Mapping[str, Any]) -> BodyError:
    problem, expected, code = _LENGTHS[kind]
    if kind == "too_long":
        expected = f"{expected} with maximum length {context['max_length']}"
        problem = f"{problem}. Expected {expected}, but got an array with length {context['actual_length']}"
    else:
        problem = f"{problem}. Expected {expected} with minimum length 1, but got an {problem}"
    return BodyError(f"Invalid '{param}': {problem} instead.", param, code)


def _number_error(kind: str, param: str, value: Any, context: Mapping[str, Any]) -> BodyError:
    side, name, sign, limit = _NUMBERS[kind]
    number = "integer" if isinstance(value, int) and isinstance(context[limit], int) else "decimal"
    return BodyError(
        f"Invalid '{param}': {number} {side} {name} value. "
        f"Expected a value {sign} {context[limit]:g}, but got {value} instead.",
        param,
        f"{number}_{side}_{name[:3]}_value",
    )


def _type_error(param: str, expected: str, value: Any) -> BodyError:
    actual = _TYPE_NAMES.get(type(value), "another value")
    return BodyError(
        f"Invalid type for '{param}': expected {expected}, but got {actual} instead.", param, "invalid_type"
    )


def _alternative_error(param: str, value: Any, context: Mapping[str, Any]) -> BodyError:
    """No alternative fits: the type of an object is missing or unknown, or the value has another JSON type."""
    field = str(context["discriminator"]).removesuffix("()")
    if not isinstance(value, dict) or " " in field:
        return _type_error(param, field if " " in field else "an object", value)
    if not isinstance(value.get(field), str):
        return missing_parameter(f"{param}.{field}")
    # OpenAI names the item itself in the input of a response, and the field in a message.
    place = param if param.startswith("input") else f"{param}.{field}"
    first, _, last = str(context["expected_tags"]).replace(f"'{_TAG}", "'").rpartition(", ")
    return invalid_value(place, value[field], f"{first}, and {last}" if first else last)
