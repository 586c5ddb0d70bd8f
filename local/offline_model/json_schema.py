"""Reads a JSON Schema: follows its references, and reduces its alternatives to one schema without any."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

MAX_DEPTH: Final = 5  # levels with everything that is optional; deeper ones have what is required
MAX_REQUIRED_DEPTH: Final = 40  # levels; a schema that requires itself has no end
MAX_CHARS: Final = 1_000
_MAX_STEPS: Final = 20_000  # a schema that refers to itself twice has exponentially many
_MAX_REFERENCES: Final = 16  # that follow each other
_LOWER_LIMITS: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER_LIMITS: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_TYPES: Final = frozenset({"object", "array", "string", "integer", "number", "boolean", "null"})
_TYPES_BY_KEYWORD: Final = {
    "object": ("properties", "required", "additionalProperties", "patternProperties", "minProperties"),
    "array": ("items", "prefixItems", "minItems", "contains"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
}


@dataclass
class Root:
    """The whole schema, and how many steps may still be taken in it."""

    schema: Any
    steps_left: int = _MAX_STEPS


def flatten(schema: dict[str, Any], root: Root, depth: int) -> dict[str, Any]:
    """The schema without references and alternatives: one alternative is chosen, and all of ``allOf`` are merged."""
    schema = _resolve(schema, root)
    root.steps_left -= 1
    if depth > MAX_REQUIRED_DEPTH or root.steps_left < 0:
        return schema
    for part in entries(schema, "allOf"):
        schema = _merged(schema, flatten(as_schema(part), root, depth + 1))
    for name in ("anyOf", "oneOf"):
        if options := entries(schema, name):
            rest = {key: value for key, value in schema.items() if key != name}
            option = _chosen([as_schema(option) for option in options], rest, root, depth)
            schema = _merged(rest, flatten(option, root, depth + 1))
    return schema


def _chosen(options: list[dict[str, Any]], rest: dict[str, Any], root: Root, depth: int) -> dict[str, Any]:
    """The first alternative; in the depth the one that ends soonest. One of another type does not fit the rest."""
    resolved = [(option, _resolve(option, root)) for option in options]
    if "type" in rest:
        allowed = {rest["type"]} if isinstance(rest["type"], str) else set(rest["type"])
        resolved = [
            pair for pair in resolved if pair[1].get("type", rest["type"]) in (rest["type"], *allowed)
        ] or resolved
    if depth >= MAX_DEPTH:
        return min(resolved, key=lambda pair: _height(pair[1], root))[0]
    return resolved[0][0]


def _height(schema: dict[str, Any], root: Root, level: int = 0) -> int:
    """How many levels of required values the schema has, at least; up to a limit."""
    if level > MAX_DEPTH or not isinstance(schema, dict):
        return level
    schema = _resolve(schema, root)
    for name in ("anyOf", "oneOf"):
        if options := entries(schema, name):
            return min(_height(as_schema(option), root, level + 1) for option in options)
    kind = type_of(schema)
    if kind == "object":
        properties = members(schema, "properties")
        inner = [as_schema(properties.get(name, {})) for name in entries(schema, "required")]
        return max((_height(one, root, level + 1) for one in inner), default=level)
    if kind == "array" and schema.get("minItems"):
        return _height(as_schema(schema.get("items", {})), root, level + 1)
    return level


def _merged(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Both schemas in one, as far as that can be expressed by the stricter of two values."""
    merged = {**first, **second}
    for name in ("properties", "$defs", "patternProperties"):
        if name in first and name in second:
            merged[name] = {**members(first, name), **members(second, name)}
            for shared in members(first, name).keys() & members(second, name).keys():
                merged[name][shared] = {"allOf": [first[name][shared], second[name][shared]]}
    if "required" in first and "required" in second:
        merged["required"] = list(dict.fromkeys([*entries(first, "required"), *entries(second, "required")]))
    for names, stricter in ((_LOWER_LIMITS, max), (_UPPER_LIMITS, min)):
        for name in names:
            if name in first and name in second:
                merged[name] = stricter(first[name], second[name])
    return merged


def type_of(schema: Mapping[str, Any]) -> str:
    """The first type that is not null; without any, the type that the keywords are about."""
    types = schema.get("type")
    if isinstance(types, list):
        types = next((name for name in types if name != "null"), "null")
    if isinstance(types, str) and types in _TYPES:
        return types
    return next((kind for kind, names in _TYPES_BY_KEYWORD.items() if schema.keys() & set(names)), "string")


def _resolve(schema: dict[str, Any], root: Root) -> dict[str, Any]:
    """Follow references into the same schema. What stands beside a reference is kept."""
    for _ in range(_MAX_REFERENCES):
        reference = schema.get("$ref")
        if not isinstance(reference, str):
            break
        rest = {name: value for name, value in schema.items() if name != "$ref"}
        schema = _merged(as_schema(_target(reference, root)), rest)
    return schema


def _target(reference: str, root: Root) -> Any:
    node = root.schema
    for step in reference.removeprefix("#").strip("/").split("/"):
        name = unquote(step).replace("~1", "/").replace("~0", "~")
        if isinstance(node, dict):
            node = node.get(name, {}) if name else node
        elif isinstance(node, list) and name.isdecimal() and int(name) < len(node):
            node = node[int(name)]
        else:
            return {}
    return node


def matches(pattern: str, name: str) -> bool:
    try:
        return re.search(pattern, name) is not None
    except re.error:
        return False


def as_schema(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def members(schema: Mapping[str, Any], name: str) -> dict[str, Any]:
    return as_schema(schema.get(name))


def entries(schema: Mapping[str, Any], name: str) -> list[Any]:
    value = schema.get(name)
    return value if isinstance(value, list) else []


def count(schema: Mapping[str, Any], name: str, default: int = 0) -> int:
    value = schema.get(name)
    return min(int(value or 0), MAX_CHARS) if is_number(value) else default


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
