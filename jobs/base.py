"""The base class of all data that crosses a process boundary.

Fields with text written by people or models (messages, answers) are declared with ``repr=False``, so that no log line,
traceback or test failure shows them by accident.
"""

import json
from collections.abc import Mapping
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

# For a TypeAdapter over several models: its errors would show the input although each model's own errors do not.
HIDE_INPUT: Final = ConfigDict(hide_input_in_errors=True)


class FrozenModel(BaseModel):
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


Model = TypeVar("Model", bound=FrozenModel)
_NOTHING: Final[Mapping[str, Any]] = {}


def json_object(stored: bytes | str) -> Mapping[str, Any]:
    """The fields of a stored JSON object; none if it is damaged."""
    try:
        value = json.loads(stored)
    except (ValueError, RecursionError):
        return _NOTHING
    return value if isinstance(value, dict) else _NOTHING


def read_stored(
    model: type[Model], fields: Mapping[str, Any], stand_ins: Mapping[str, Any] = _NOTHING
) -> tuple[Model, frozenset[str]]:
    """Read what a newer version may have written, or what is damaged: the model, and the fields that cannot be read.

    An unreadable or missing field gets its stand-in, or else its default. So one field that nobody here can read costs
    only that field. Raises ValidationError if such a field has neither.
    """
    try:
        return model.model_validate(fields), frozenset()
    except ValidationError as error:
        unreadable = frozenset(str(detail["loc"][0]) for detail in error.errors(include_url=False) if detail["loc"])
    readable = {name: value for name, value in fields.items() if name not in unreadable}
    return model.model_validate({**stand_ins, **readable}), unreadable
