"""What /v1 answers, as far as it is the same whichever provider speaks; for the documentation, and open to more."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, Json

from api.http.problems import OpenAIError
from jobs.states import State


class ResponseObject(BaseModel):
    """A response, as it stands."""

    id: str
    object: Literal["response"]
    created_at: int = Field(description="Seconds since 1970.")
    status: State
    model: str | None
    output: list[dict[str, Any]] = Field(description="Messages, function calls, reasoning; what was finished so far.")
    error: dict[str, Any] | None
    incomplete_details: dict[str, Any] | None
    usage: dict[str, Any] | None = Field(description="Tokens.")
    metadata: dict[str, str]
    background: bool
    store: bool
    previous_response_id: str | None


class ResponseEvent(BaseModel):
    """`response.created` to `response.completed`, or how else it ended."""

    type: str
    sequence_number: int = Field(description="From 0 without a gap; what `starting_after` names.")


class ResponseStreamMessage(BaseModel):
    """One message of a response's stream."""

    model_config = ConfigDict(extra="forbid")
    event: str = Field(description="The type of what `data` holds.")
    data: Json[ResponseEvent]


class DeletedResponse(BaseModel):
    id: str
    object: Literal["response.deleted"]
    deleted: bool


class InputItems(BaseModel):
    """One page of what the model was given."""

    object: Literal["list"]
    data: list[dict[str, Any]]
    first_id: str | None
    last_id: str | None
    has_more: bool


class ChatCompletion(BaseModel):
    """A chat completion."""

    id: str
    object: Literal["chat.completion"]
    created: int = Field(description="Seconds since 1970.")
    model: str | None
    choices: list[dict[str, Any]]
    usage: dict[str, Any] | None = Field(description="Tokens.")


class CompletionChunk(BaseModel):
    """A piece of a chat completion."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int = Field(description="Seconds since 1970.")
    model: str | None
    choices: list[dict[str, Any]]


class StreamError(BaseModel):
    """Why a stream ends without its end."""

    error: OpenAIError


class CompletionStreamMessage(BaseModel):
    """One message of a chat completion's stream; the last one is `[DONE]`, or an error."""

    model_config = ConfigDict(extra="forbid")
    event: Literal["message"] = Field(default="message", description="Not sent: it is what no name stands for.")
    data: Json[CompletionChunk | StreamError] | Literal["[DONE]"]


class EmbeddingObject(BaseModel):
    object: Literal["embedding"]
    index: int
    embedding: list[float] | str = Field(description="Numbers, or base64 of little-endian float32.")


class EmbeddingList(BaseModel):
    """A vector for each input, in order."""

    object: Literal["list"]
    data: list[EmbeddingObject]
    model: str | None
    usage: dict[str, Any]


class ModelObject(BaseModel):
    id: str
    object: Literal["model"]


class ModelList(BaseModel):
    object: Literal["list"]
    data: list[ModelObject]
