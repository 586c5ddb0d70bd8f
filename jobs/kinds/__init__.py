"""The kinds of job: the request and the answer of each. tasks/handlers runs them."""

import operator
from collections.abc import Iterable, Mapping
from functools import reduce
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from jobs.base import HIDE_INPUT, FrozenModel
from jobs.errors import RequestUnreadable
from jobs.kinds import chat, completion, embeddings, ingest, removal, response
from jobs.kinds.base import Answer, JobKind, JobRequest

KINDS: Final[Mapping[str, JobKind]] = {
    kind.name: kind
    for kind in (
        chat.KIND,
        embeddings.KIND,
        completion.KIND,
        response.KIND,
        ingest.KIND,
        removal.KIND,
    )
}
CONVERSATION_KINDS: Final = frozenset(kind.name for kind in KINDS.values() if kind.is_conversation)
JOB_ID_PREFIXES: Final = tuple(dict.fromkeys(prefix for kind in KINDS.values() for prefix in kind.id_prefixes))

if TYPE_CHECKING:
    KindName: TypeAlias = str
else:
    KindName = Literal[tuple(KINDS)]

_Model = TypeVar("_Model", bound=FrozenModel)


def _adapter(models: Iterable[type[_Model]]) -> TypeAdapter[_Model]:
    """Parses any of the models; ``kind`` selects the model."""
    union: Any = reduce(operator.or_, models)
    return TypeAdapter(Annotated[union, Field(discriminator="kind")], config=HIDE_INPUT)


JOB_REQUEST: Final[TypeAdapter[JobRequest]] = _adapter(kind.request for kind in KINDS.values())
ANSWER: Final[TypeAdapter[Answer]] = _adapter(kind.answer for kind in KINDS.values())


def read_request(stored: bytes) -> JobRequest:
    """Parse a stored request. Raises RequestUnreadable, which contains none of its text."""
    try:
        return JOB_REQUEST.validate_json(stored)
    except ValidationError:
        raise RequestUnreadable(
            "the stored request is unreadable: another version wrote it, or it is damaged"
        ) from None
