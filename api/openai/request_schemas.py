"""The fields of OpenAI's request bodies that are read here. The provider validates all others."""

import json
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Discriminator, Field, PlainValidator, Tag, model_validator

from jobs.base import FrozenModel
from jobs.control_fields import refuse_control_fields
from jobs.errors import MalformedJson
from jobs.kinds.embeddings import Dimensions, OpenAIEmbeddingsInput, Tokens
from jobs.model_name import ModelName
from jobs.requests import Metadata, NonEmptyText, StreamOptions

_HANDLED_FIELDS: Final = frozenset({"model", "metadata", "stream"})


class RequestBody(FrozenModel):
    """The fields that are read here. All others are forwarded to the provider unchanged."""

    model_config = ConfigDict(frozen=True, strict=True, extra="allow", hide_input_in_errors=True)

    model: ModelName | None = Field(default=None, description="Name of the model; the server's default if absent.")
    metadata: Metadata | None = Field(
        default=None, description="Up to 16 key-value pairs, stored with the job.", repr=False
    )
    stream: bool | None = Field(default=None, description="Stream the output as server-sent events.")

    @model_validator(mode="after")
    def _refuse_control_fields(self) -> Self:
        refuse_control_fields(self.model_extra or ())
        return self

    @property
    def own_stream_options(self) -> dict[str, Any]:
        """The field of the task with our extensions of ``stream_options``; empty without any."""
        options = getattr(self, "stream_options", None) or {}
        own = {name: options[name] is True for name in StreamOptions.model_fields if name in options}
        return {"stream_options": StreamOptions(**own)} if own else {}

    def passthrough_fields(self, *handled: str) -> dict[str, Any]:
        """The fields to forward to the provider. Raises MalformedJson for NaN and Infinity."""
        fields = self.model_dump(exclude_unset=True, exclude={*_HANDLED_FIELDS, *handled})
        if self.own_stream_options:
            options = fields.pop("stream_options")
            if others := {name: value for name, value in options.items() if name not in StreamOptions.model_fields}:
                fields["stream_options"] = others
        try:
            json.dumps(fields, allow_nan=False)
        except ValueError:
            raise MalformedJson("NaN and Infinity are not allowed in the request body") from None
        return fields


class CompletionBody(RequestBody):
    """A chat completion request. All fields that are not listed are forwarded to the provider unchanged."""

    messages: Annotated[list[dict[str, Any]], Field(min_length=1, fail_fast=True)] = Field(
        description="The messages of the conversation, as OpenAI defines them.", repr=False
    )
    stream_options: dict[str, Any] | None = Field(
        default=None,
        description="Set `include_usage` to get the usage at the end of the stream, and `include_arguments` to get the "
        "arguments of calls as they arrive.",
    )


_Tokens = Annotated[list[int], Field(fail_fast=True)]
Prompt = (
    str | Annotated[list[str], Field(fail_fast=True)] | _Tokens | Annotated[list[_Tokens], Field(fail_fast=True)] | None
)


def _check_prompt(value: Any) -> Any:
    """Stops at the first wrong item: a union would report each item of each alternative. Raises ValueError."""
    if value is None or isinstance(value, str):
        return value
    if value == []:
        raise ValueError("must not be empty")
    is_valid = isinstance(value, list) and (
        all(isinstance(text, str) for text in value)
        or _is_tokens(value)
        or all(isinstance(tokens, list) and _is_tokens(tokens) for tokens in value)
    )
    if not is_valid:
        raise ValueError("must be a text, a list of texts, a list of token ids, or a list of lists of token ids")
    return value


class TextCompletionBody(RequestBody):
    """A text completion request. All fields that are not listed are forwarded to the provider unchanged."""

    prompt: Annotated[Any, PlainValidator(_check_prompt, json_schema_input_type=Prompt)] = Field(
        default=None,
        description="A text, a list of texts, a text as token ids, or a list of those. Each is one prompt.",
        repr=False,
    )
    stream_options: dict[str, Any] | None = Field(
        default=None, description="Set `include_usage` to get the usage at the end of the stream."
    )


ResponseInput = Annotated[
    Annotated[str, Tag("text")] | Annotated[list[dict[str, Any]], Field(fail_fast=True), Tag("items")],
    Discriminator(lambda value: "text" if isinstance(value, str) else "items"),  # an error concerns one of them only
]


class ResponseBody(RequestBody):
    """A request for a response. All fields that are not listed are forwarded to the provider unchanged."""

    input: ResponseInput | None = Field(
        default=None,
        description="A text, or items as OpenAI defines them. "
        "Required unless there is a `prompt` or a previous response.",
        repr=False,
    )
    background: bool | None = Field(default=None, description="Return immediately; fetch the response later by its id.")
    store: bool | None = Field(default=None, description="If false, the response is kept for a few minutes only.")
    previous_response_id: str | None = Field(default=None, description="Id of the response that this one continues.")
    stream_options: dict[str, Any] | None = Field(
        default=None,
        description="Set `include_arguments` to get the arguments of calls as they arrive, and `include_restarts` to "
        "get the output of attempts that ended without an answer too.",
    )


class CompactionBody(RequestBody):
    """A conversation to compact. All fields that are not listed are forwarded to the provider unchanged."""

    model: ModelName = Field(description="Name of the model that writes the summary.")
    stream: Literal[False] | None = Field(default=None, description="A compaction cannot be streamed.")
    input: ResponseInput | None = Field(
        default=None,
        description="A text, or items as OpenAI defines them. Required unless there is a previous response.",
        repr=False,
    )
    previous_response_id: str | None = Field(
        default=None, description="Id of the response whose conversation is compacted, before the `input`."
    )


def _to_list(value: Any) -> Any:
    """Wraps a single text, or a single list of tokens, in a list."""
    values = [value] if isinstance(value, str) or _is_tokens(value) else value
    return (
        tuple(tuple(item) if isinstance(item, list) else item for item in values)
        if isinstance(values, list)
        else values
    )


def _is_tokens(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(type(token) is int for token in value)


class EmbeddingsBody(RequestBody):
    """A request for embeddings. All fields that are not listed are forwarded to the provider unchanged."""

    input: Annotated[
        OpenAIEmbeddingsInput,
        BeforeValidator(_to_list, json_schema_input_type=NonEmptyText | Tokens | OpenAIEmbeddingsInput),
    ] = Field(description="One text or a list of texts. A text can be given as a list of tokens.", repr=False)
    dimensions: Dimensions | None = Field(
        default=None, description="Length of each vector, if the model supports a choice."
    )
    encoding_format: Literal["float", "base64"] = Field(
        default="float",
        description="`float`: vectors as numbers. `base64`: vectors as base64 of little-endian float32.",
    )


class StreamQuery(FrozenModel):
    """The query of GET /v1/responses/{id}. Other parameters, such as `include`, are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    stream: bool = Field(default=False, description="Stream the events, live until the response is final.")
    starting_after: Annotated[int, Field(ge=0, le=10**15)] | None = Field(
        default=None, description="Send only events after this sequence number."
    )


class ItemsQuery(FrozenModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    limit: Annotated[int, Field(ge=1, le=100)] = Field(default=20, description="Maximum number of items per page.")
    order: Literal["asc", "desc"] = Field(default="desc", description="`desc`: latest first. `asc`: earliest first.")
    after: str | None = Field(default=None, description="The `last_id` of the previous page.")
