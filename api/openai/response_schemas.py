"""The documented fields of the responses of /v1. Further fields depend on the provider."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, Json

from api.http.problems import OpenAIError
from api.schemas.responses import Status


class ResponseObject(BaseModel):
    """A response in its current state."""

    id: str
    object: Literal["response"]
    created_at: int = Field(description="Time of submission, in seconds since 1970 (UTC).")
    status: Status
    model: str | None
    output: list[dict[str, Any]] = Field(
        description="The output items finished so far: messages, function calls and reasoning."
    )
    error: dict[str, Any] | None
    incomplete_details: dict[str, Any] | None = Field(
        description="Why the response is incomplete; null if it is not incomplete."
    )
    usage: dict[str, Any] | None
    metadata: dict[str, str] = Field(description="The key-value pairs of the request.")
    background: bool = Field(description="Whether the response was requested in the background.")
    store: bool = Field(description="Whether the response is stored.")
    previous_response_id: str | None = Field(description="Id of the response that this one continues.")


class ResponseEvent(BaseModel):
    """An event of a response, as OpenAI defines it."""

    type: str = Field(description="The type of the event, for example `response.completed`.")
    sequence_number: int = Field(
        description="Number of the event, from 0 without gaps. Send it as `starting_after` to resume after the event."
    )


class ResponseStreamMessage(BaseModel):
    """One message of a response's event stream."""

    model_config = ConfigDict(extra="forbid")
    event: str = Field(description="The type of the event in `data`.")
    data: Json[ResponseEvent] = Field(description="The event as JSON.")


class DeletedResponse(BaseModel):
    """A deleted response."""

    id: str
    object: Literal["response.deleted"]
    deleted: bool = Field(description="Always true.")


class CompactedResponse(BaseModel):
    """A compacted conversation."""

    id: str
    object: Literal["response.compaction"]
    created_at: int = Field(description="Time of submission, in seconds since 1970 (UTC).")
    output: list[dict[str, Any]] = Field(
        description="The items to send in place of the conversation: its messages other than the model's own, and a "
        "`compaction` item with the summary of the rest."
    )
    usage: dict[str, Any]


class InputItems(BaseModel):
    """A page of input items."""

    object: Literal["list"]
    data: list[dict[str, Any]] = Field(description="The items.")
    first_id: str | None = Field(description="Id of the first item of the page; null if the page is empty.")
    last_id: str | None = Field(description="Id of the last item of the page. Pass it as `after` to get the next page.")
    has_more: bool = Field(description="True if there are further pages.")


class ChatCompletion(BaseModel):
    """A chat completion."""

    id: str
    object: Literal["chat.completion"]
    created: int = Field(description="Time of submission, in seconds since 1970 (UTC).")
    model: str | None
    choices: list[dict[str, Any]]
    usage: dict[str, Any] | None


class CompletionChunk(BaseModel):
    """A chunk of a streamed chat completion."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int = Field(description="Time of submission, in seconds since 1970 (UTC).")
    model: str | None
    choices: list[dict[str, Any]]


class StreamError(BaseModel):
    """The reason why a stream ended early."""

    error: OpenAIError = Field(description="The reason in OpenAI's format.")


class _StreamMessage(BaseModel):
    model_config = ConfigDict(extra="forbid")
    event: Literal["message"] = Field(
        default="message", description="Not sent: `message` is the default type of an event."
    )


class CompletionStreamMessage(_StreamMessage):
    """One message of a chat completion's event stream. The last message is `[DONE]` or an error."""

    data: Json[CompletionChunk | StreamError] | Literal["[DONE]"] = Field(
        description="A chunk or an error as JSON, or `[DONE]`."
    )


class TextCompletion(BaseModel):
    """A text completion, or a chunk of a streamed one."""

    id: str
    object: Literal["text_completion"]
    created: int = Field(description="Time of submission, in seconds since 1970 (UTC).")
    model: str | None
    choices: list[dict[str, Any]] = Field(description="`n` choices for each prompt, each with its text.")
    usage: dict[str, Any] | None = Field(default=None, description="Absent from the chunks of most streams.")


class TextCompletionStreamMessage(_StreamMessage):
    """One message of a text completion's event stream. The last message is `[DONE]` or an error."""

    data: Json[TextCompletion | StreamError] | Literal["[DONE]"] = Field(
        description="A chunk or an error as JSON, or `[DONE]`."
    )


class EmbeddingObject(BaseModel):
    """The embedding of one input."""

    object: Literal["embedding"]
    index: int = Field(description="Index of the input.")
    embedding: list[float] | str = Field(description="The vector: numbers, or base64 of little-endian float32.")


class EmbeddingList(BaseModel):
    """The embeddings of all inputs."""

    object: Literal["list"]
    data: list[EmbeddingObject] = Field(description="One embedding per input, in order.")
    model: str | None
    usage: dict[str, Any]


class ModelObject(BaseModel):
    """A model."""

    id: str
    object: Literal["model"]


class ModelList(BaseModel):
    """The models of the provider."""

    object: Literal["list"]
    data: list[ModelObject] = Field(description="The models.")
