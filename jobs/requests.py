"""What people ask for: the kinds of requests, validated once where they come in."""

import re
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
)

from jobs.base import FrozenModel

_NON_BLANK = re.compile(r"[^\s\x1c-\x1f\x85\ufeff]")  # what is no space in Python's and in JSON Schema's (ECMA) regexes
MAX_METADATA = 16  # pairs, OpenAI's own limit
MAX_MESSAGE_CHARS: Final = "max_message_chars"  # names the limit in the validation context
CONTEXT_MAX_LENGTH: Final = "x-max-length"  # in a JSON Schema: the name of the limit that is its maxLength


class RequestModel(FrozenModel):
    """A shape that people send: strict types, unknown fields refused."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", hide_input_in_errors=True)


def _validate_text(text: str, info: ValidationInfo) -> str:
    """The length is limited by the validation context alone: a stored request stays readable under a lower limit."""
    if not _NON_BLANK.search(text):
        raise ValueError("must not be blank")
    limit = (info.context or {}).get(MAX_MESSAGE_CHARS)
    if limit is not None and len(text) > limit:
        raise ValueError(f"must have at most {limit} characters")
    return text


def _describe_text(schema: dict[str, Any]) -> None:
    """The rules of _validate_text in JSON Schema. The publisher of the schema replaces CONTEXT_MAX_LENGTH."""
    schema |= {"pattern": _NON_BLANK.pattern, CONTEXT_MAX_LENGTH: MAX_MESSAGE_CHARS}


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


class JobOptions(RequestModel):
    """What every kind of job may carry."""

    metadata: Metadata = Field(default={}, description="Up to 16 pairs of your own, kept with the job.", repr=False)
    limits: Limits | None = Field(default=None, description="How patient the server is with this job.")


DOCUMENT_ID_PATTERN: Final = r"^doc_[0-9a-f]{32}$"
DocumentId = Annotated[str, Field(pattern=DOCUMENT_ID_PATTERN)]
