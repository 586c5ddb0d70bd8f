"""The request bodies of the offline model. Parameters without effect here, such as temperature, are ignored."""

from typing import Annotated, Literal, Self, TypeVar

from pydantic import BaseModel, Field, ValidationError

from openai_format.types import JsonObject

Text = Annotated[str, Field(min_length=1)]
BodyModel = TypeVar("BodyModel", bound=BaseModel)


class BodyError(ValueError):
    """The body is malformed or lacks a field. `param` names the field; it is None if the body is not JSON."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class ContentPart(BaseModel):
    """A part of a message. Images and files have no text."""

    text: str = ""


class ChatMessage(BaseModel):
    role: str
    content: str | list[ContentPart] | None = None

    @property
    def text(self) -> str:
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content)
        return self.content or ""


class ToolFunction(BaseModel):
    name: str
    parameters: JsonObject | None = None


class Tool(BaseModel):
    function: ToolFunction


class JsonSchema(BaseModel):
    schema_dict: Annotated[JsonObject, Field(alias="schema")] = {}


class ResponseFormat(BaseModel):
    type: str = "text"
    json_schema: JsonSchema = JsonSchema()

    @classmethod
    def from_responses_format(cls, text_format: JsonObject) -> Self:
        """From the format of a response's request, which is not nested in ``json_schema``."""
        return cls.model_validate({"type": text_format.get("type", "text"), "json_schema": text_format})


class StreamOptions(BaseModel):
    include_usage: bool = False


class ChatBody(BaseModel):
    model: Text
    messages: Annotated[list[ChatMessage], Field(min_length=1)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    tools: list[Tool] = []
    response_format: ResponseFormat = ResponseFormat()
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None

    @property
    def prompt(self) -> str:
        """The last message of the user, the only one that may contain a directive."""
        return next((message.text for message in reversed(self.messages) if message.role == "user"), "")

    @property
    def is_user_turn(self) -> bool:
        """The last message is the user's, not a tool's output."""
        return self.messages[-1].role == "user"

    @property
    def words(self) -> int:
        return sum(len(message.text.split()) for message in self.messages)

    @property
    def token_limit(self) -> int | None:
        return self.max_completion_tokens or self.max_tokens

    @property
    def wants_usage(self) -> bool:
        """Whether the last chunk of a stream reports usage."""
        return self.stream_options is not None and self.stream_options.include_usage


class EmbeddingsBody(BaseModel):
    model: Text
    input: Text | Annotated[list[Text | list[int]], Field(min_length=1, max_length=2_048)]
    dimensions: Annotated[int, Field(ge=1, le=4_096)] | None = None
    encoding_format: Literal["float", "base64"] = "float"

    @property
    def texts(self) -> list[str]:
        """Token ids are treated as words."""
        inputs = [self.input] if isinstance(self.input, str) else self.input
        return [text if isinstance(text, str) else " ".join(map(str, text)) for text in inputs]


def parse_body(kind: type[BodyModel], data: bytes) -> BodyModel:
    """Raises BodyError, which names the field and the reason and never quotes the body."""
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        raise BodyError("We could not parse the JSON body of your request.")
    param = ".".join(map(str, first["loc"])) or None
    raise BodyError(f"{param or 'body'}: {first['msg']}", param)
