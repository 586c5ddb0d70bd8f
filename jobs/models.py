"""What crosses a process: requests, answers and records, as frozen pydantic models.

Texts of people and models (messages, answers) are declared with ``repr=False``, so that no log line, traceback
or test failure shows them by accident.
"""

import math
import re
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, model_validator

from jobs.settings import get_settings
from jobs.states import State

JOB_ID_PATTERN: Final = r"^(job|resp|chatcmpl|embd)_[0-9a-f]{32}$"
_JOB_ID = re.compile(JOB_ID_PATTERN)
_VISIBLE = re.compile(r"[^\s\x1c-\x1f\x85\ufeff]")  # what is no space in Python's and in JSON Schema's (ECMA) regexes
MAX_HISTORY = 1_000  # turns; far above any model's context, bounds validation time
MAX_INPUTS = 2_048  # texts in one embeddings request: OpenAI's own limit
MAX_METADATA = 16  # pairs, OpenAI's own limit
PREVIEW_BYTES = 60  # keeps the record's hash in Redis' compact encoding (values of at most 64 bytes)


def is_job_id(text: str) -> bool:
    """True for a well-formed id; says nothing of whether such a job exists."""
    return _JOB_ID.fullmatch(text) is not None  # not match: its `$` lets a trailing line break pass


class FrozenModel(BaseModel):
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


class RequestModel(FrozenModel):
    """A shape that people send: strict types, unknown fields refused."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", hide_input_in_errors=True)


def _checked_text(text: str) -> str:
    if not _VISIBLE.search(text):
        raise ValueError("must not be blank")
    limit = get_settings().max_message_chars
    if len(text) > limit:
        raise ValueError(f"must have at most {limit} characters")
    return text


def _describe_text(schema: dict[str, Any]) -> None:
    """What _checked_text asks for, as JSON Schema says it."""
    schema |= {"pattern": _VISIBLE.pattern, "maxLength": get_settings().max_message_chars}


def _whole(value: Any) -> Any:
    """JSON knows no integers: 5.0 is the number 5, and JSON Schema calls it an integer."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Text = Annotated[str, Field(min_length=1, json_schema_extra=_describe_text), AfterValidator(_checked_text)]
Whole = BeforeValidator(_whole)
ModelName = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$")]
Metadata = Annotated[
    dict[
        Annotated[str, Field(min_length=1, max_length=64)],
        Annotated[str, Field(max_length=512)],
    ],
    Field(max_length=MAX_METADATA),
]


Duration = Annotated[float, Field(gt=0, le=604_800)]  # seconds, up to a week


class Turn(RequestModel):
    """One earlier turn of the conversation."""

    role: Literal["user", "assistant"] = Field(description="Who spoke.")
    content: Text = Field(description="What was said.", repr=False)


class Limits(RequestModel):
    """How patient the server is with this job; what is absent is the server's default."""

    max_attempts: Annotated[int, Field(ge=1, le=50), Whole] | None = Field(
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


class JobOptions(RequestModel):
    """What every kind of job may carry."""

    metadata: Metadata = Field(default={}, description="Up to 16 pairs of your own, kept with the job.", repr=False)
    limits: Limits | None = Field(default=None, description="How patient the server is with this job.")


class ChatRequest(JobOptions):
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
    max_output_tokens: Annotated[int, Field(ge=1, le=1_000_000), Whole] | None = Field(
        default=None, description="Longest answer; a cut one ends `incomplete`."
    )


class EmbeddingsRequest(JobOptions):
    """Texts to turn into vectors, in one call."""

    input: Annotated[tuple[Text, ...], Field(min_length=1, max_length=MAX_INPUTS)] = Field(
        description="Texts; the vectors come back in the same order.",
        repr=False,
        examples=[["first", "second"]],
    )
    model: ModelName | None = Field(default=None, description="Model; the server's default when absent.")
    dimensions: Annotated[int, Field(ge=1, le=8_192), Whole] | None = Field(
        default=None, description="Length of each vector, where the model can choose."
    )


class ChatTask(ChatRequest):
    kind: Literal["chat"]


class EmbeddingsTask(EmbeddingsRequest):
    kind: Literal["embeddings"]


TaskRequest = Annotated[ChatTask | EmbeddingsTask, Field(discriminator="kind")]
TASK_REQUEST: Final[TypeAdapter[ChatTask | EmbeddingsTask]] = TypeAdapter(TaskRequest)


def input_chars(request: ChatTask | EmbeddingsTask) -> int:
    """Length of all that a request gives the model to read."""
    if isinstance(request, EmbeddingsTask):
        return sum(map(len, request.input))
    return len(request.message) + len(request.system or "") + sum(len(turn.content) for turn in request.history)


class Usage(FrozenModel):
    """Tokens."""

    input_tokens: Annotated[int, Field(ge=0)]
    output_tokens: Annotated[int, Field(ge=0)]
    total_tokens: Annotated[int, Field(ge=0)]
    estimated: bool = Field(
        default=False,
        description="Not counted by the provider: 4 characters of input, or a piece of the stream, for a token.",
    )

    @classmethod
    def estimate(cls, input_chars: int, pieces: int) -> Self:
        """Before the provider has counted. Four characters a token is OpenAI's own rule of thumb for English."""
        given = math.ceil(input_chars / 4)
        return cls(input_tokens=given, output_tokens=pieces, total_tokens=given + pieces, estimated=True)

    def as_word(self) -> str:
        """As the record's hash keeps it: short, so that the hash stays in Redis' compact encoding."""
        return f"{self.input_tokens} {self.output_tokens} {self.estimated:d}"

    @classmethod
    def from_word(cls, word: str) -> Self:
        given, made, estimated = map(int, word.split())
        return cls(input_tokens=given, output_tokens=made, total_tokens=given + made, estimated=bool(estimated))


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


class FailedAttempt(FrozenModel):
    """What one attempt met with."""

    attempt: int
    at_ms: int
    code: str
    message: str


class NewJob(FrozenModel):
    """All that `create` writes down."""

    job_id: str
    tenant: str
    queue: str
    request: ChatTask | EmbeddingsTask = Field(repr=False)
    max_attempts: int
    deadline_seconds: float
    start_by_seconds: float | None = None
    cancel_after_seconds: float | None = None
    idempotency_key: str | None = Field(default=None, repr=False)
    retry_of: str | None = None  # the failed job that this one repeats; it is repeated once

    @model_validator(mode="after")
    def _well_formed(self) -> Self:
        if not is_job_id(self.job_id):
            raise ValueError("job_id is malformed")
        return self


class Lease(FrozenModel):
    """The right to write for one attempt: void as soon as a later claim has a higher token."""

    job_id: str
    queue: str
    token: int
    attempt: int
    log_length: int  # events in the log right after the claim: where this attempt's own begin


class Claim(FrozenModel):
    """A lease and what is to be done under it."""

    lease: Lease
    failures: int  # attempts that have failed with an error; those that a dead worker ended are not among them
    deaths: int  # attempts that ended with their worker
    max_attempts: int
    remaining_ms: int  # until the job's deadline, by the server's clock
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
    token: int = 0  # of the latest claim
    attempts: int
    failures: int = 0  # attempts that ended with an error
    deaths: int = 0  # attempts that ended with their worker
    max_attempts: int
    created_at_ms: int
    deadline_ms: int | None = None
    start_by_ms: int | None = None
    cancel_at_ms: int | None = None
    started_at_ms: int | None = None  # of the latest attempt
    finished_at_ms: int | None = None
    retry_at_ms: int | None = None  # set while the job waits for its next attempt
    usage: Usage | None = None  # of the latest attempt, while it runs too
    log_length: int | None = None  # of the whole event log, once the job is final: the log expires before the record
    preview: str = Field(default="", repr=False)
    model: str | None = None
    owner: str | None = None
    error_code: str | None = None
    retry_of: str | None = None
    retried_as: str | None = None
    idempotency: str | None = Field(default=None, repr=False)  # digest of its Idempotency-Key
    queue_position: int | None = None  # 0: next in line; None: not waiting in line
    estimated_wait_ms: int | None = None  # from how fast jobs have ended lately; None: nobody can tell

    @classmethod
    def from_hash(cls, job_id: str, fields: dict[str, Any]) -> Self:
        """Read the hash that the Lua verbs keep. Unknown fields are left out, so that versions can mix."""
        usage = fields.get("usage")
        return cls.model_validate({"job_id": job_id, **fields, "usage": Usage.from_word(usage) if usage else None})


class InLine(FrozenModel):
    """Where a queued job stands: how many go before it, and how long that may take."""

    queue_position: int
    estimated_wait_ms: int | None

    @classmethod
    def read(cls, position: int, wait_ms: int) -> Self:
        """As the line verb has it; -1: nobody can tell."""
        return cls(queue_position=position, estimated_wait_ms=None if wait_ms < 0 else wait_ms)


class JobView(FrozenModel):
    """A record together with what came of it."""

    record: JobRecord
    answer: ChatAnswer | EmbeddingsAnswer | None = Field(default=None, repr=False)
    error: JobError | None = None
