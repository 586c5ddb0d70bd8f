"""The request bodies that the offline model reads. What it has no use for (temperature, seed) it ignores."""

from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, Field, ValidationError

Text = Annotated[str, Field(min_length=1)]
BodyModel = TypeVar("BodyModel", bound=BaseModel)


class BodyError(ValueError):
    """The body is malformed or lacks something. `param` names the field, None when it is no JSON."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class ContentPart(BaseModel):
    """A piece of a message; images and files have no text."""

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
    parameters: dict[str, Any] | None = None


class Tool(BaseModel):
    function: ToolFunction


class JsonSchema(BaseModel):
    schema_dict: Annotated[dict[str, Any], Field(alias="schema")] = {}


class ResponseFormat(BaseModel):
    type: str = "text"
    json_schema: JsonSchema = JsonSchema()

    @classmethod
    def from_responses_format(cls, text_format: dict[str, Any]) -> Self:
        """As the other API has it, where the schema is no level deeper."""
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
        """The last message of the user, the only one that may carry a directive."""
        return next((message.text for message in reversed(self.messages) if message.role == "user"), "")

    @property
    def is_user_turn(self) -> bool:
        """The user spoke last, and no tool."""
        return self.messages[-1].role == "user"

    @property
    def words(self) -> int:
        return sum(len(message.text.split()) for message in self.messages)

    @property
    def token_limit(self) -> int | None:
        return self.max_completion_tokens or self.max_tokens

    @property
    def wants_usage(self) -> bool:
        """Whether a stream reports usage in a last chunk."""
        return self.stream_options is not None and self.stream_options.include_usage


class EmbeddingsBody(BaseModel):
    model: Text
    input: Text | Annotated[list[Text | list[int]], Field(min_length=1, max_length=2_048)]
    dimensions: Annotated[int, Field(ge=1, le=4_096)] | None = None
    encoding_format: Literal["float", "base64"] = "float"

    @property
    def texts(self) -> list[str]:
        """Tokens are words like any other, to who knows no tokens."""
        inputs = [self.input] if isinstance(self.input, str) else self.input
        return [text if isinstance(text, str) else " ".join(map(str, text)) for text in inputs]


def parse_body(kind: type[BodyModel], data: bytes) -> BodyModel:
    """Raises BodyError, which tells the field and the reason and never repeats the body."""
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        raise BodyError("We could not parse the JSON body of your request.")
    param = ".".join(map(str, first["loc"])) or None
    raise BodyError(f"{param or 'body'}: {first['msg']}", param)
