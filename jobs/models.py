"""What crosses a process: requests, answers and records, as frozen pydantic models.

Texts of people and models (messages, answers) are declared with ``repr=False``, so that no log line, traceback
or test failure shows them by accident.
"""

import re
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from jobs.settings import get_settings
from jobs.states import State

JOB_ID_PATTERN: Final = r"^(job|resp|chatcmpl|embd)_[0-9a-f]{32}$"
_JOB_ID = re.compile(JOB_ID_PATTERN)
MAX_HISTORY = 1_000  # turns; far above any model's context, bounds validation time
MAX_INPUTS = 2_048  # texts in one embeddings request: OpenAI's own limit
MAX_METADATA = 16  # pairs, OpenAI's own limit
PREVIEW_BYTES = 60  # keeps the record's hash in Redis' compact encoding (values of at most 64 bytes)


def is_job_id(text: str) -> bool:
    """True for a well-formed id; says nothing of whether such a job exists."""
    return _JOB_ID.match(text) is not None


class FrozenModel(BaseModel):
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


class RequestModel(FrozenModel):
    """A shape that people send: strict types, unknown fields refused."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", hide_input_in_errors=True)


def _checked_text(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be blank")
    limit = get_settings().max_message_chars
    if len(text) > limit:
        raise ValueError(f"must have at most {limit} characters")
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise ValueError("must be text without lone surrogates")
    return text


Text = Annotated[str, Field(min_length=1), AfterValidator(_checked_text)]
ModelName = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$")]
Metadata = Annotated[
    dict[
        Annotated[str, Field(min_length=1, max_length=64)],
        Annotated[str, Field(max_length=512)],
    ],
    Field(max_length=MAX_METADATA),
]


class Turn(RequestModel):
    """One earlier turn of the conversation."""

    role: Literal["user", "assistant"] = Field(description="Who spoke.")
    content: Text = Field(description="What was said.", repr=False)


class ChatRequest(RequestModel):
    """A chat call: one message, and what the model should know before it."""

    message: Text = Field(description="What to answer.", repr=False, examples=["Why is the sky blue?"])
    system: Text | None = Field(default=None, description="Instructions to the model.", repr=False)
    history: tuple[Turn, ...] = Field(
        default=(),
        max_length=MAX_HISTORY,
        description="Earlier turns, the oldest first.",
        repr=False,
    )
    model: ModelName | None = Field(default=None, description="Model; the server's default when absent.")
    temperature: Annotated[float, Field(ge=0, le=2)] | None = Field(default=None, description="Passed on to the model.")
    max_output_tokens: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        default=None, description="Longest answer; a cut one ends `incomplete`."
    )
    metadata: Metadata = Field(default={}, description="Up to 16 pairs of your own, kept with the job.", repr=False)


class EmbeddingsRequest(RequestModel):
    """Texts to turn into vectors, in one call."""

    input: Annotated[tuple[Text, ...], Field(min_length=1, max_length=MAX_INPUTS)] = Field(
        description="Texts; the vectors come back in the same order.",
        repr=False,
        examples=[["first", "second"]],
    )
    model: ModelName | None = Field(default=None, description="Model; the server's default when absent.")
    dimensions: Annotated[int, Field(ge=1, le=100_000)] | None = Field(
        default=None, description="Length of each vector, where the model can choose."
    )
    metadata: Metadata = Field(default={}, description="Up to 16 pairs of your own, kept with the job.", repr=False)


class ChatTask(ChatRequest):
    kind: Literal["chat"]


class EmbeddingsTask(EmbeddingsRequest):
    kind: Literal["embeddings"]


TaskRequest = Annotated[ChatTask | EmbeddingsTask, Field(discriminator="kind")]
TASK_REQUEST: Final[TypeAdapter[ChatTask | EmbeddingsTask]] = TypeAdapter(TaskRequest)


class Usage(FrozenModel):
    """Tokens as the provider counted them."""

    input_tokens: int
    output_tokens: int
    total_tokens: int


class ChatAnswer(FrozenModel):
    """The answer to a chat call; for an incomplete or cancelled job its text is what there was."""

    kind: Literal["chat"] = "chat"
    text: str = Field(repr=False)
    model: str | None
    finish_reason: str | None
    usage: Usage | None


class EmbeddingsAnswer(FrozenModel):
    """One vector for each input text, in order."""

    kind: Literal["embeddings"] = "embeddings"
    vectors: tuple[tuple[float, ...], ...] = Field(repr=False)
    model: str | None
    usage: Usage | None


Answer = Annotated[ChatAnswer | EmbeddingsAnswer, Field(discriminator="kind")]
ANSWER: Final[TypeAdapter[ChatAnswer | EmbeddingsAnswer]] = TypeAdapter(Answer)


class JobError(FrozenModel):
    """Why a job failed. Holds no prompt, answer or secret."""

    code: str
    message: str


class NewJob(FrozenModel):
    """All that `create` writes down."""

    job_id: str
    tenant: str
    queue: str
    request: ChatTask | EmbeddingsTask = Field(repr=False)
    max_attempts: int
    idempotency_key: str | None = Field(default=None, repr=False)

    @model_validator(mode="after")
    def _well_formed(self) -> Self:
        if not is_job_id(self.job_id):
            raise ValueError("job_id is malformed")
        return self


class Lease(FrozenModel):
    """The right to write for one attempt: void as soon as a later claim has a higher token."""

    job_id: str
    token: int
    attempt: int
    max_attempts: int
    created_at_ms: int
    log_length: int  # events in the log right after the claim: where this attempt's own begin
    request: ChatTask | EmbeddingsTask = Field(repr=False)


class JobRecord(FrozenModel):
    """A job as it is written down, without its request and its answer."""

    job_id: str
    kind: Literal["chat", "embeddings"]
    tenant: str
    queue: str
    state: State
    version: int  # grows with each write; the ETag
    seq: int  # order of creation, unique
    attempts: int
    max_attempts: int
    created_at_ms: int
    started_at_ms: int | None = None  # of the latest attempt
    finished_at_ms: int | None = None
    retry_at_ms: int | None = None  # set while the job waits for its next attempt
    output_events: int = 0
    preview: str = Field(default="", repr=False)
    model: str | None = None
    owner: str | None = None
    error_code: str | None = None
    idempotency: str | None = Field(default=None, repr=False)  # digest of its Idempotency-Key
    queue_position: int | None = None  # 0: next in line; None: not waiting in line

    @classmethod
    def from_hash(cls, job_id: str, fields: dict[str, Any]) -> Self:
        """Read the hash that the Lua verbs keep. Unknown fields are left out, so that versions can mix."""
        return cls.model_validate({"job_id": job_id, **fields})


class JobView(FrozenModel):
    """A record together with what came of it."""

    record: JobRecord
    answer: ChatAnswer | EmbeddingsAnswer | None = Field(default=None, repr=False)
    error: JobError | None = None
