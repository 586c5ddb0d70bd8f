"""The kinds of job: the request and the answer of each. tasks/handlers runs them."""

import json
import operator
from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Annotated, Any, Final, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from jobs.base import HIDE_INPUT, FrozenModel, read_stored
from jobs.errors import RequestUnreadable
from jobs.kinds import chat, completion, embeddings, ingest, removal, response, text_completion
from jobs.kinds.base import Answer, JobKind, JobRequest
from jobs.kinds.needs import abilities_of, needs_of, request_reader_id

__all__ = [
    "ABILITIES",
    "ANSWER",
    "CONVERSATION_KINDS",
    "JOB_REQUEST",
    "KINDS",
    "needs_of",
    "read_answer",
    "read_request",
    "request_reader_id",
    "write_request",
]

KINDS: Final[Mapping[str, JobKind]] = {
    kind.name: kind
    for kind in (
        chat.KIND,
        embeddings.KIND,
        completion.KIND,
        response.KIND,
        text_completion.KIND,
        ingest.KIND,
        removal.KIND,
    )
}
ABILITIES: Final = tuple(name for kind in KINDS.values() for name in abilities_of(kind.name, kind.request))
CONVERSATION_KINDS: Final = frozenset(kind.name for kind in KINDS.values() if kind.is_conversation)
_Model = TypeVar("_Model", bound=FrozenModel)
_IGNORABLE: Final = "ignorable_fields"  # in a stored request: names of the top-level fields that a reader may ignore


def _adapter(models: Iterable[type[_Model]]) -> TypeAdapter[_Model]:
    """Parses any of the models; ``kind`` selects the model."""
    union: Any = reduce(operator.or_, models)
    return TypeAdapter(Annotated[union, Field(discriminator="kind")], config=HIDE_INPUT)


JOB_REQUEST: Final[TypeAdapter[JobRequest]] = _adapter(kind.request for kind in KINDS.values())
ANSWER: Final[TypeAdapter[Answer]] = _adapter(kind.answer for kind in KINDS.values())


def write_request(request: JobRequest) -> str:
    """The stored form of a request. It names the fields that a worker without them may ignore."""
    stored = request.model_dump_json(exclude_defaults=True)
    ignorable = sorted(request.ignorable_fields & request.model_fields_set)
    return f'{stored[:-1]},"{_IGNORABLE}":{json.dumps(ignorable)}}}' if ignorable else stored


def read_request(stored: bytes | None) -> JobRequest:
    """Parse a stored request. Raises RequestUnreadable, which contains none of its text.

    A field that this version does not know makes the request unreadable, unless its writer allows to ignore it.
    """
    try:
        return JOB_REQUEST.validate_json(stored or b"")
    except ValidationError:
        request = _without_ignorable_fields(stored or b"")
    if request is None:
        raise RequestUnreadable("the stored request is unreadable: another version wrote it, or it is damaged")
    return request


def _without_ignorable_fields(stored: bytes) -> JobRequest | None:
    try:
        fields = json.loads(stored)
        kind, ignorable = KINDS[fields["kind"]], fields.pop(_IGNORABLE)
        known = kind.request.model_fields
        return JOB_REQUEST.validate_json(
            json.dumps({name: value for name, value in fields.items() if name in known or name not in ignorable})
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):  # ValidationError is a ValueError
        return None


def read_answer(stored: Any) -> Answer | None:
    """A stored answer, given as parsed JSON, without unreadable optional fields; None if it cannot be read."""
    kind = stored.get("kind") if isinstance(stored, dict) else None
    if not isinstance(kind, str) or kind not in KINDS:
        return None
    try:
        return read_stored(KINDS[kind].answer, stored)[0]
    except ValidationError:
        return None
