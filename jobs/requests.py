"""Fields and types that the requests of several kinds share. The API validates each request once."""

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
from jobs.document_id import DOCUMENT_ID_PATTERN

_NON_BLANK = re.compile(r"[^\s\x1c-\x1f\x85\ufeff]")  # not a space in Python's regexes, nor in JSON Schema's (ECMA)
MAX_METADATA = 16  # pairs: OpenAI's own limit
MAX_MESSAGE_CHARS: Final = "max_message_chars"  # names the limit in the validation context
CONTEXT_MAX_LENGTH: Final = "x-max-length"  # in a JSON Schema: the name of the limit that is its maxLength


class RequestModel(FrozenModel):
    """A part of a request body: strict types, unknown fields rejected."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", hide_input_in_errors=True)


class StreamOptions(FrozenModel):
    """What a stream under /v1 contains beside the answer. Both are extensions of OpenAI's `stream_options`."""

    include_arguments: bool = False  # the arguments of calls as they arrive, until an attempt with output fails
    include_restarts: bool = False  # the items of attempts that ended without an answer


def _validate_text(text: str, info: ValidationInfo) -> str:
    if not _NON_BLANK.search(text):
        raise ValueError("must not be blank")
    return _validate_length(text, info)


def _validate_new_text(text: str, info: ValidationInfo) -> str:
    """For a text that may be blank in a stored request, because another API accepts it."""
    return _validate_length(text, info) if info.context is None else _validate_text(text, info)


def _validate_length(text: str, info: ValidationInfo) -> str:
    """The length limit is only in the validation context: a stored request stays readable when the limit is lowered."""
    limit = (info.context or {}).get(MAX_MESSAGE_CHARS)
    if limit is not None and len(text) > limit:
        raise ValueError(f"must have at most {limit} characters")
    return text


def _describe_text(schema: dict[str, Any]) -> None:
    """Add the rules of _validate_text to the JSON schema. The publisher of the schema replaces CONTEXT_MAX_LENGTH."""
    schema |= {"pattern": _NON_BLANK.pattern, CONTEXT_MAX_LENGTH: MAX_MESSAGE_CHARS}


def _integral(value: Any) -> Any:
    """JSON does not distinguish 5.0 from 5, and JSON Schema counts it as an integer."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _describe_length(schema: dict[str, Any]) -> None:
    schema[CONTEXT_MAX_LENGTH] = MAX_MESSAGE_CHARS


Text = Annotated[str, Field(min_length=1, json_schema_extra=_describe_text), AfterValidator(_validate_text)]
NewText = Annotated[str, Field(min_length=1, json_schema_extra=_describe_text), AfterValidator(_validate_new_text)]
NonEmptyText = Annotated[str, Field(min_length=1, json_schema_extra=_describe_length), AfterValidator(_validate_length)]
IntegralFloat = BeforeValidator(_integral)
Metadata = Annotated[
    dict[
        Annotated[str, Field(min_length=1, max_length=64)],
        Annotated[str, Field(max_length=512)],
    ],
    Field(max_length=MAX_METADATA),
]


Duration = Annotated[float, Field(gt=0, le=604_800)]  # seconds, up to a week


class Message(RequestModel):
    """One earlier message of the conversation."""

    role: Literal["user", "assistant"] = Field(description="The author of the message.")
    content: Text = Field(description="The text of the message.", repr=False)


class Limits(RequestModel):
    """Limits of this job. The server's default applies to each absent limit."""

    max_attempts: Annotated[int, Field(ge=1, le=50), IntegralFloat] | None = Field(
        default=None, description="Number of attempts that may fail before the job fails."
    )
    deadline_seconds: Duration | None = Field(
        default=None, description="Seconds from submit after which the job fails, waiting and retries included."
    )
    start_by_seconds: Duration | None = Field(
        default=None, description="Seconds from submit after which the job fails unless an attempt has started."
    )
    cancel_after_seconds: Duration | None = Field(
        default=None, description="Seconds from submit after which the job is cancelled, whether queued or running."
    )
    attempt_seconds: Duration | None = Field(
        default=None, description="Maximum duration of one call to the provider, in seconds."
    )
    first_token_seconds: Duration | None = Field(
        default=None, description="Maximum wait for the first token, in seconds."
    )
    idle_seconds: Duration | None = Field(default=None, description="Maximum wait between two tokens, in seconds.")


class JobOptions(RequestModel):
    """The options of every kind of job."""

    metadata: Metadata = Field(default={}, description="Up to 16 key-value pairs, stored with the job.", repr=False)
    limits: Limits | None = Field(default=None, description="Limits of this job.")


DocumentId = Annotated[str, Field(pattern=DOCUMENT_ID_PATTERN)]
