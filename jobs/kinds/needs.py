"""What a worker must know to run a job: names that the creator writes into the record, and each claim compares.

    chat           the kind
    chat.audio     a field of the request that is not among the FIRST_FIELDS of its kind
    chat.limits.x  the same for a field of a part of the request

So a new field needs no further declaration: a request that sets it waits for a worker that has the field. A field that
an older worker may ignore is listed in the ``ignorable_fields`` of its request model.
"""

import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, Final, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from jobs.kinds.base import JobRequest

_ID_BYTES: Final = 4  # enough to tell apart the few versions that run together

# The fields of the first version whose workers compare needs. Never add one: an older worker does not know it.
_FIRST_COMMON: Final = frozenset(
    {"kind", "model", "metadata", "limits"}
    | {"limits.max_attempts", "limits.deadline_seconds", "limits.start_by_seconds", "limits.cancel_after_seconds"}
    | {"limits.attempt_seconds", "limits.first_token_seconds", "limits.idle_seconds"}
)
FIRST_FIELDS: Final = {
    "chat": _FIRST_COMMON | {"message", "system", "history", "temperature", "max_output_tokens", "documents"},
    "embeddings": _FIRST_COMMON | {"input", "dimensions", "encoding_format", "extra_body"},
    "completion": _FIRST_COMMON | {"body"},
    "response": _FIRST_COMMON | {"body", "background", "store", "previous_response_id", "previous_items"},
    "ingest": _FIRST_COMMON | {"document_id", "filename"},
    "text_completion": _FIRST_COMMON | {"body"},
    "removal": _FIRST_COMMON | {"document_id", "filename"},
}


def needs_of(request: JobRequest) -> list[str]:
    """The kind, and each later field that the request sets to more than its default."""
    first = _first_fields(request.kind)
    later = {path for path, value, field in _set_fields(request) if path not in first and value != field.get_default()}
    return [request.kind, *sorted(f"{request.kind}.{path}" for path in later - request.ignorable_fields)]


def abilities_of(kind: str, model: type[JobRequest]) -> list[str]:
    """Every need of this kind that a worker with this version of the model meets."""
    return [kind, *sorted(f"{kind}.{path}" for path in set(_known_fields(model)) - _first_fields(kind))]


@cache
def request_reader_id() -> str:
    """Identifies how this version reads requests: workers of one version find the same requests unreadable."""
    digest = hashlib.blake2b(digest_size=_ID_BYTES)
    folder = Path(__file__).parent
    for path in sorted([*folder.glob("*.py"), folder.parent / "requests.py", folder.parent / "base.py"]):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _first_fields(kind: str) -> frozenset[str]:
    return FIRST_FIELDS.get(kind, _FIRST_COMMON)


def _set_fields(part: BaseModel, prefix: str = "") -> Iterator[tuple[str, Any, FieldInfo]]:
    """The path, the value and the declaration of each field that was given."""
    declared = type(part).model_fields
    for name in part.model_fields_set:
        value = getattr(part, name)
        yield prefix + name, value, declared[name]
        if isinstance(value, BaseModel):
            yield from _set_fields(value, f"{prefix}{name}.")


def _known_fields(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield prefix + name
        is_union = get_origin(field.annotation) in (Union, UnionType)
        for part in get_args(field.annotation) if is_union else (field.annotation,):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from _known_fields(part, f"{prefix}{name}.")
