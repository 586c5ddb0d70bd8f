"""The kinds of job: what each asks for and what it is answered with."""

from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import Field, TypeAdapter, ValidationError

from jobs.base import HIDE_INPUT
from jobs.errors import RequestUnreadable
from jobs.kinds.chat import ChatAnswer, ChatTask
from jobs.kinds.completion import CompletionAnswer, CompletionTask
from jobs.kinds.embeddings import EmbeddingsAnswer, EmbeddingsTask
from jobs.kinds.ingest import IngestAnswer, IngestTask
from jobs.kinds.removal import RemovalAnswer, RemovalTask
from jobs.kinds.response import ResponseAnswer, ResponseTask

TaskRequest = Annotated[ChatTask | EmbeddingsTask, Field(discriminator="kind")]
DocumentTask: TypeAlias = IngestTask | RemovalTask
Conversation: TypeAlias = ChatTask | CompletionTask | ResponseTask  # what is answered with text, as it comes
ProviderRequest: TypeAlias = Conversation | EmbeddingsTask  # what one call to the provider answers
JobRequest: TypeAlias = ProviderRequest | DocumentTask
Kind: TypeAlias = Literal["chat", "embeddings", "completion", "response", "ingest", "removal"]
CONVERSATION_KINDS: Final[frozenset[Kind]] = frozenset({"chat", "completion", "response"})  # those of a Conversation
PROVIDER_REQUEST: Final[TypeAdapter[ProviderRequest]] = TypeAdapter(
    Annotated[ProviderRequest, Field(discriminator="kind")], config=HIDE_INPUT
)
JOB_REQUEST: Final[TypeAdapter[JobRequest]] = TypeAdapter(
    Annotated[JobRequest, Field(discriminator="kind")], config=HIDE_INPUT
)
AnyAnswer: TypeAlias = ChatAnswer | EmbeddingsAnswer | CompletionAnswer | ResponseAnswer | IngestAnswer | RemovalAnswer
Answer = Annotated[AnyAnswer, Field(discriminator="kind")]
ANSWER: Final[TypeAdapter[AnyAnswer]] = TypeAdapter(Answer, config=HIDE_INPUT)

_TEXT_FIELDS: Final = ("instructions", "messages", "input", "content", "text", "arguments", "output")


def texts(request: JobRequest) -> Iterator[str]:
    """All that a request gives the model to read, the latest last; not its images and files."""
    match request:
        case EmbeddingsTask():
            yield from (value for value in request.input if isinstance(value, str))
        case ChatTask():
            yield from filter(None, [request.system])
            yield from (turn.content for turn in request.history)
            yield request.message
        case ResponseTask():
            yield from _collect_texts(list(request.previous_items))
            yield from _collect_texts(request.body)
        case CompletionTask():
            yield from _collect_texts(request.body)
        case IngestTask() | RemovalTask():
            return


def _collect_texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for part in value:
            yield from _collect_texts(part)
    elif isinstance(value, dict):
        for name in _TEXT_FIELDS:
            yield from _collect_texts(value.get(name))


def input_chars(request: JobRequest) -> int:
    """Length of all that a request gives the model to read."""
    return sum(map(len, texts(request)))


def read_request(stored: bytes) -> JobRequest:
    """Parse a stored request. Raises RequestUnreadable, which contains none of its text."""
    try:
        return JOB_REQUEST.validate_json(stored)
    except ValidationError:
        raise RequestUnreadable(
            "the stored request is unreadable: another version wrote it, or it is damaged"
        ) from None
