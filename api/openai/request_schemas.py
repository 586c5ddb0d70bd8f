"""What we read of a body in OpenAI's shape; all the rest of it is the provider's to judge."""

import json
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, ConfigDict, Field

from jobs.base import FrozenModel
from jobs.errors import MalformedJson
from jobs.kinds.embeddings import Dimensions, EmbeddingsInput, Tokens
from jobs.requests import Metadata, ModelName, Text

_HANDLED_FIELDS: Final = frozenset({"model", "metadata", "stream"})


class RequestBody(FrozenModel):
    """What is read here; whatever else is said goes to the provider as it came."""

    model_config = ConfigDict(frozen=True, strict=True, extra="allow", hide_input_in_errors=True)

    model: ModelName | None = Field(default=None, description="The server's default when absent.")
    metadata: Metadata | None = Field(default=None, description="Up to 16 pairs, kept with the job.", repr=False)
    stream: bool | None = Field(default=None, description="Answer with server-sent events as they come.")

    def passthrough_fields(self, *handled: str) -> dict[str, Any]:
        """All that was said, less what is ours. Raises MalformedJson for a number that JSON has no word for."""
        fields = self.model_dump(exclude_unset=True, exclude={*_HANDLED_FIELDS, *handled})
        try:
            json.dumps(fields, allow_nan=False)
        except ValueError:
            raise MalformedJson("a number in the body is none, or is infinite") from None
        return fields


class CompletionBody(RequestBody):
    """A chat completion. Only what is read here is listed; all the rest goes to the provider as it came."""

    messages: Annotated[list[dict[str, Any]], Field(min_length=1)] = Field(
        description="The conversation, as OpenAI has it.", repr=False
    )
    stream_options: dict[str, Any] | None = Field(default=None, description="`include_usage` is heeded.")


class ResponseBody(RequestBody):
    """A response. Only what is read here is listed; all the rest goes to the provider as it came."""

    input: str | list[dict[str, Any]] | None = Field(
        default=None,
        description="A text, or items as OpenAI has them; required unless there is a `prompt` or a previous response.",
        repr=False,
    )
    background: bool | None = Field(default=None, description="Answer at once; fetch the response by its id.")
    store: bool | None = Field(default=None, description="`false`: the answer is kept for minutes only.")
    previous_response_id: str | None = Field(default=None, description="The conversation goes on from there.")


def _to_list(value: Any) -> Any:
    """One text, or one list of tokens, is a list of one."""
    values = [value] if isinstance(value, str) or _is_tokens(value) else value
    return (
        tuple(tuple(item) if isinstance(item, list) else item for item in values)
        if isinstance(values, list)
        else values
    )


def _is_tokens(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(token, int) for token in value)


class EmbeddingsBody(RequestBody):
    """Texts to turn into vectors. Only what is read here is listed; all the rest goes to the provider as it came."""

    input: Annotated[
        EmbeddingsInput, BeforeValidator(_to_list, json_schema_input_type=Text | Tokens | EmbeddingsInput)
    ] = Field(description="One text or many, or tokens in their place.", repr=False)
    dimensions: Dimensions | None = Field(default=None, description="Length of each vector, where it can be chosen.")
    encoding_format: Literal["float", "base64"] = Field(
        default="float", description="Vectors as numbers, or as base64 of little-endian float32."
    )


class StreamQuery(FrozenModel):
    """Of GET /v1/responses/{id}; what else a client asks to be included is there, or cannot be had any more."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    stream: bool = Field(default=False, description="Its events, live until the end.")
    starting_after: Annotated[int, Field(ge=0, le=10**15)] | None = Field(
        default=None, description="Only events after this sequence number."
    )


class ItemsQuery(FrozenModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    limit: Annotated[int, Field(ge=1, le=100)] = Field(default=20, description="Longest page.")
    order: Literal["asc", "desc"] = Field(default="desc", description="`desc`: the latest first.")
    after: str | None = Field(default=None, description="`last_id` of the page before.")
