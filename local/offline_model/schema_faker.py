"""Values that fit a JSON Schema, without a thought behind them: for structured output and the arguments of calls."""

from typing import Any

MAX_DEPTH = 8  # a schema may refer to itself


def invent(schema: dict[str, Any], root: dict[str, Any] | None = None, depth: int = 0) -> Any:
    """The same value for the same schema. What it does not know of a schema, it ignores."""
    root = schema if root is None else root
    schema = _resolve(schema, root)
    if "const" in schema or schema.get("enum"):
        return schema["const"] if "const" in schema else schema["enum"][0]
    for options in ("anyOf", "oneOf", "allOf"):
        if schema.get(options):
            return invent(schema[options][0], root, depth + 1)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        named = schema.get("properties", {}) if depth < MAX_DEPTH else {}
        return {name: invent(shape, root, depth + 1) for name, shape in named.items()}
    if kind == "array":
        return [invent(schema["items"], root, depth + 1)] if schema.get("items") and depth < MAX_DEPTH else []
    plain = {"string": "offline", "integer": 1, "number": 1.5, "boolean": True}
    return plain.get(kind)


def _resolve(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference into the same schema."""
    found: Any = schema
    for _ in range(MAX_DEPTH):
        if "$ref" not in found:
            return dict(found)
        place: Any = root
        for step in found["$ref"].removeprefix("#/").split("/"):
            place = place.get(step, {})
        found = place
    return {}
