"""Placeholder values that match a JSON Schema, for structured output and the arguments of function calls."""

from typing import Any

MAX_DEPTH = 8  # levels; a schema may refer to itself


def fake_value(schema: dict[str, Any], root: dict[str, Any] | None = None, depth: int = 0) -> Any:
    """The same value for the same schema. Unknown keywords are ignored."""
    root = schema if root is None else root
    schema = _resolve(schema, root)
    if "const" in schema or schema.get("enum"):
        return schema["const"] if "const" in schema else schema["enum"][0]
    for options in ("anyOf", "oneOf", "allOf"):
        if schema.get(options):
            return fake_value(schema[options][0], root, depth + 1)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        properties = schema.get("properties", {}) if depth < MAX_DEPTH else {}
        return {name: fake_value(shape, root, depth + 1) for name, shape in properties.items()}
    if kind == "array":
        return [fake_value(schema["items"], root, depth + 1)] if schema.get("items") and depth < MAX_DEPTH else []
    defaults = {"string": "offline", "integer": 1, "number": 1.5, "boolean": True}
    return defaults.get(kind)


def _resolve(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference into the same schema."""
    resolved: Any = schema
    for _ in range(MAX_DEPTH):
        if "$ref" not in resolved:
            return dict(resolved)
        node: Any = root
        for step in resolved["$ref"].removeprefix("#/").split("/"):
            node = node.get(step, {})
        resolved = node
    return {}
