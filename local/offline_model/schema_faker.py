"""Placeholder values that match a JSON Schema, for structured output and the arguments of function calls.

The keywords that OpenAI's structured output allows are followed, and the usual ones beyond. A schema that contradicts
itself, or that only an endless value could match, gets a value that does not match.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from local.offline_model.json_schema import (
    MAX_CHARS,
    MAX_DEPTH,
    MAX_REQUIRED_DEPTH,
    Root,
    as_schema,
    count,
    entries,
    flatten,
    is_number,
    matches,
    members,
    type_of,
)
from local.offline_model.pattern_faker import text_for_pattern
from openai_format.text import MALFORMED

_MAX_ITEMS: Final = 100
_WORD: Final = "offline"
_FORMATS: Final = {
    "date-time": "2026-01-01T00:00:00Z",
    "date": "2026-01-01",
    "time": "00:00:00Z",
    "duration": "PT1H",
    "email": "offline@example.com",
    "idn-email": "offline@example.com",
    "hostname": "example.com",
    "idn-hostname": "example.com",
    "ipv4": "127.0.0.1",
    "ipv6": "::1",
    "uri": "https://example.com/",
    "uri-reference": "https://example.com/",
    "iri": "https://example.com/",
    "url": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "json-pointer": "/offline",
    "regex": "offline",
    "byte": "b2ZmbGluZQ==",
    "binary": "offline",
}
_TYPE_NAMES: Final[tuple[tuple[type, set[str]], ...]] = (  # bool is an int, so it comes first
    (type(None), {"null"}),
    (bool, {"boolean"}),
    (int, {"integer", "number"}),
    (str, {"string"}),
    (list, {"array"}),
)


def fake_value(schema: Any) -> Any:
    """The same value for the same schema. Unknown keywords are ignored. Raises ValueError for a malformed schema."""
    try:
        return _value(schema, Root(schema), 0)
    except MALFORMED:
        raise ValueError("the schema is malformed") from None


def _value(schema: Any, root: Root, depth: int) -> Any:
    root.steps_left -= 1
    if root.steps_left < 0:
        return None
    if not isinstance(schema, dict):  # true allows everything, as an empty schema does
        return _WORD
    schema = flatten(schema, root, depth)
    if "const" in schema:
        return schema["const"]
    if entries(schema, "enum"):
        return _allowed(schema)
    return _BY_TYPE[type_of(schema)](schema, root, depth)


def _allowed(schema: Mapping[str, Any]) -> Any:
    """The first value of the enum that has an allowed type."""
    types = schema.get("type")
    names = {types} if isinstance(types, str) else set(types or ())
    fitting = [value for value in schema["enum"] if not names or names & _types_of(value)]
    return (fitting or schema["enum"])[0]


def _types_of(value: Any) -> set[str]:
    if isinstance(value, float):
        return {"number", "integer"} if value.is_integer() else {"number"}
    return next((names for kind, names in _TYPE_NAMES if isinstance(value, kind)), {"object"})


def _fake_object(schema: Mapping[str, Any], root: Root, depth: int) -> dict[str, Any]:
    properties, required = members(schema, "properties"), entries(schema, "required")
    names = list(properties) if depth < MAX_DEPTH else [name for name in properties if name in required]
    if depth > MAX_REQUIRED_DEPTH:
        return {}
    made = {name: _value(properties[name], root, depth + 1) for name in names}
    for name in required:
        if name not in made:
            made[name] = _value(_schema_of_other(schema, name), root, depth + 1)
    for number in range(count(schema, "minProperties") - len(made)):
        made[f"{_WORD}{number}"] = _value(_schema_of_other(schema, f"{_WORD}{number}"), root, depth + 1)
    return made


def _schema_of_other(schema: Mapping[str, Any], name: str) -> Any:
    """The schema of a member that has no property."""
    for pattern, shape in members(schema, "patternProperties").items():
        if matches(pattern, name):
            return shape
    other = schema.get("additionalProperties", {})
    return other if isinstance(other, dict) else {}


def _fake_array(schema: Mapping[str, Any], root: Root, depth: int) -> list[Any]:
    first = entries(schema, "prefixItems")
    low = count(schema, "minItems")
    high = count(schema, "maxItems", _MAX_ITEMS)
    wanted = max(low, len(first), 1 if depth < MAX_DEPTH else 0)
    if "contains" in schema:
        wanted = max(wanted, count(schema, "minContains", 1))
    items = schema.get("contains", schema.get("items", {}))
    if depth > MAX_REQUIRED_DEPTH or (not first and items is False):
        return []
    if not first and "items" not in schema and "contains" not in schema:
        wanted = low
    shapes = [*first, *[items] * max(0, min(wanted, high) - len(first))][: max(high, 0)]
    values = [_value(shape, root, depth + 1) for shape in shapes]
    return _made_unique(values, schema) if schema.get("uniqueItems") else values


def _made_unique(values: list[Any], schema: Mapping[str, Any]) -> list[Any]:
    """The values without repetition: strings and numbers are changed, others of an enum are taken in order."""
    options = as_schema(schema.get("items", {})).get("enum")
    if isinstance(options, list):
        return options[: len(values)]
    unique: list[Any] = []
    for number, value in enumerate(values):
        if value in unique and isinstance(value, str):
            unique.append(f"{value}{number}")
        elif value in unique and isinstance(value, int | float) and not isinstance(value, bool):
            unique.append(value + number)
        elif value not in unique:
            unique.append(value)
    return unique


def _fake_string(schema: Mapping[str, Any], _root: Root, _depth: int) -> str:
    low, high = count(schema, "minLength"), count(schema, "maxLength", MAX_CHARS)
    if isinstance(schema.get("pattern"), str):
        return text_for_pattern(schema["pattern"], low, high) or _WORD
    text = _FORMATS.get(str(schema.get("format")), _WORD)
    if len(text) < low:
        text = (text * (low // len(text) + 1))[:low]
    return text[:high]


def _fake_number(schema: Mapping[str, Any], *, is_integer: bool) -> int | float:
    """A number in the range, near 1 (or 1.5), that is a multiple of ``multipleOf``."""
    low, high = _range(schema)
    step = schema.get("multipleOf") or (1 if is_integer else None)
    if is_integer and step:
        step = step if float(step).is_integer() else 1
    number: float = min(max(1 if is_integer else 1.5, low), high)
    if step:
        number = math.ceil(max(low, min(number, high)) / step) * step
        number = number if number <= high else math.floor(high / step) * step
    if number == schema.get("exclusiveMinimum"):
        number += step or min(1.0, (high - number) / 2)
    if number == schema.get("exclusiveMaximum"):
        number -= step or min(1.0, (number - low) / 2)
    return int(number) if is_integer else number


def _range(schema: Mapping[str, Any]) -> tuple[float, float]:
    lows = [schema[name] for name in ("minimum", "exclusiveMinimum") if is_number(schema.get(name))]
    highs = [schema[name] for name in ("maximum", "exclusiveMaximum") if is_number(schema.get(name))]
    return max(lows, default=-math.inf), min(highs, default=math.inf)


_BY_TYPE: Final[Mapping[str, Callable[[Mapping[str, Any], Root, int], Any]]] = {
    "object": _fake_object,
    "array": _fake_array,
    "string": _fake_string,
    "integer": lambda schema, _root, _depth: _fake_number(schema, is_integer=True),
    "number": lambda schema, _root, _depth: _fake_number(schema, is_integer=False),
    "boolean": lambda _schema, _root, _depth: True,
    "null": lambda _schema, _root, _depth: None,
}
