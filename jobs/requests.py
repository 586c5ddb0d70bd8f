"""What people ask for: the kinds of requests, validated once where they come in."""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    TypeAdapter,
    ValidationError,
)

from jobs.base import HIDE_INPUT, FrozenModel
from jobs.errors import RequestUnreadable
from jobs.settings import get_settings

_NON_BLANK = re.compile(r"[^\s\x1c-\x1f\x85\ufeff]")  # what is no space in Python's and in JSON Schema's (ECMA) regexes
MAX_HISTORY = 1_000  # turns; far above any model's context, bounds validation time
MAX_INPUTS = 2_048  # texts in one embeddings request: OpenAI's own limit
MAX_TOKENS = 100_000  # of one text; above any model's limit, bounds validation time
MAX_DOCUMENTS = 100  # that one question may name
MAX_METADATA = 16  # pairs, OpenAI's own limit


class RequestModel(FrozenModel):
    """A shape that people send: strict types, unknown fields refused."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", hide_input_in_errors=True)


def _validate_text(text: str) -> str:
    if not _NON_BLANK.search(text):
        raise ValueError("must not be blank")
    limit = get_settings().max_message_chars
    if len(text) > limit:
        raise ValueError(f"must have at most {limit} characters")
    return text


def _describe_text(schema: dict[str, Any]) -> None:
    """What _validate_text asks for, as JSON Schema says it."""
    schema |= {"pattern": _NON_BLANK.pattern, "maxLength": get_settings().max_message_chars}


def _integral(value: Any) -> Any:
    """JSON knows no integers: 5.0 is the number 5, and JSON Schema calls it an integer."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Text = Annotated[str, Field(min_length=1, json_schema_extra=_describe_text), AfterValidator(_validate_text)]
IntegralFloat = BeforeValidator(_integral)
ModelName = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$")]
Metadata = Annotated[
    dict[
        Annotated[str, Field(min_length=1, max_length=64)],
        Annotated[str, Field(max_length=512)],
    ],
    Field(max_length=MAX_METADATA),
]


Duration = Annotated[float, Field(gt=0, le=604_800)]  # seconds, up to a week


class Message(RequestModel):
    """One earlier turn of the conversation."""

    role: Literal["user", "assistant"] = Field(description="Who spoke.")
    content: Text = Field(description="What was said.", repr=False)


class Limits(RequestModel):
    """How patient the server is with this job; what is absent is the server's default."""

    max_attempts: Annotated[int, Field(ge=1, le=50), IntegralFloat] | None = Field(
        default=None, description="Attempts that may fail with an error before the job does."
    )
    deadline_seconds: Duration | None = Field(
        default=None, description="Time from submit to the end, waiting and retries included; then the job fails."
    )
    start_by_seconds: Duration | None = Field(
        default=None, description="Time from submit to its first attempt; if none has begun by then, the job fails."
    )
    cancel_after_seconds: Duration | None = Field(
        default=None, description="Time from submit after which the job is cancelled, queued or running."
    )
    attempt_seconds: Duration | None = Field(default=None, description="Longest single call to the provider.")
    first_token_seconds: Duration | None = Field(default=None, description="Longest wait for the first token.")
    idle_seconds: Duration | None = Field(default=None, description="Longest silence between two tokens.")


Dimensions = Annotated[int, Field(ge=1, le=8_192), IntegralFloat]
Tokens = Annotated[
    tuple[Annotated[int, Field(ge=0), IntegralFloat], ...],
    Field(min_length=1, max_length=MAX_TOKENS),
]
EmbeddingsInput = Annotated[
    tuple[
        Annotated[
            Annotated[Text, Tag("text")] | Annotated[Tokens, Tag("tokens")],
            Discriminator(lambda value: "text" if isinstance(value, str) else "tokens"),
        ],
        ...,
    ],
    Field(min_length=1, max_length=MAX_INPUTS),
]


class JobOptions(RequestModel):
    """What every kind of job may carry."""

    metadata: Metadata = Field(default={}, description="Up to 16 pairs of your own, kept with the job.", repr=False)
    limits: Limits | None = Field(default=None, description="How patient the server is with this job.")


DOCUMENT_ID_PATTERN: Final = r"^doc_[0-9a-f]{32}$"
DocumentId = Annotated[str, Field(pattern=DOCUMENT_ID_PATTERN)]
DocumentSelection = Annotated[
    Annotated[tuple[DocumentId, ...], Field(min_length=1, max_length=MAX_DOCUMENTS), Tag("ids")]
    | Annotated[Literal["all"], Tag("all")],
    Discriminator(lambda value: "all" if isinstance(value, str) else "ids"),  # of an error: which of them was meant
]


class ChatRequest(JobOptions):
    """A chat call: one message, and what the model should know before it."""

    message: Text = Field(description="What to answer.", repr=False, examples=["Why is the sky blue?"])
    system: Text | None = Field(default=None, description="Instructions to the model.", repr=False)
    history: tuple[Message, ...] = Field(
        default=(),
        max_length=MAX_HISTORY,
        description="Earlier turns, the oldest first.",
        repr=False,
    )
    model: ModelName | None = Field(default=None, description="Model; the server's default when absent.")
    temperature: Annotated[float, Field(ge=0, le=2)] | None = Field(default=None, description="Passed on to the model.")
    max_output_tokens: Annotated[int, Field(ge=1, le=1_000_000), IntegralFloat] | None = Field(
        default=None, description="Longest answer; a cut one ends `incomplete`."
    )
    documents: DocumentSelection | None = Field(
        default=None, description="Answer from these documents, or from `all`, and cite them."
    )


class EmbeddingsRequest(JobOptions):
    """Texts to turn into vectors, in one call."""

    input: EmbeddingsInput = Field(
        description="Texts, or texts as tokens; the vectors come back in the same order.",
        repr=False,
        examples=[["first", "second"]],
    )
    model: ModelName | None = Field(default=None, description="Model; the server's default when absent.")
    dimensions: Dimensions | None = Field(
        default=None, description="Length of each vector, where the model can choose."
    )
    encoding_format: Literal["float", "base64"] = Field(
        default="float", description="Vectors as numbers, or as base64 of little-endian float32."
    )
    extra_body: dict[str, Any] = Field(
        default={}, description="What else the provider should be told, passed on as it is.", repr=False
    )


class ChatTask(ChatRequest):
    kind: Literal["chat"]


class EmbeddingsTask(EmbeddingsRequest):
    kind: Literal["embeddings"]


TaskRequest = Annotated[ChatTask | EmbeddingsTask, Field(discriminator="kind")]


class IngestTask(JobOptions):
    """Read, cut, embed and keep a document. Its model is that of the settings."""

    kind: Literal["ingest"]
    document_id: DocumentId
    filename: str
    model: None = None


class RemovalTask(JobOptions):
    """Remove what a deleted document has left: its chunks and its file."""

    kind: Literal["removal"]
    document_id: DocumentId
    filename: str
    model: None = None


DocumentTask: TypeAlias = IngestTask | RemovalTask


class PassthroughRequest(JobOptions):
    """A body in OpenAI's own shape, less what is ours; what nobody here knows of goes to the provider as it came."""

    model: ModelName | None = None
    body: dict[str, Any] = Field(repr=False)


class CompletionTask(PassthroughRequest):
    """The body of POST /v1/chat/completions, without model, metadata and stream."""

    kind: Literal["completion"]


class ResponseTask(PassthroughRequest):
    """The body of POST /v1/responses, without model, metadata and stream."""

    kind: Literal["response"]
    background: bool = False
    store: bool = True
    previous_response_id: str | None = None
    previous_items: tuple[dict[str, Any], ...] = Field(
        default=(), repr=False
    )  # items of the conversation before this input


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
