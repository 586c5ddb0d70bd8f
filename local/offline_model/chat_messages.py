"""The messages of a chat completion's request, and the parts of their content."""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, Tag

from local.offline_model.bodies import RequestPart, Text
from local.offline_model.body_errors import alternative_by, kind_of_value, tag
from openai_format.types import JsonObject

_PartT = TypeVar("_PartT")


class TextPart(RequestPart):
    type: Literal["text"]
    text: str


class RefusalPart(RequestPart):
    refusal: str


class ImageUrl(RequestPart):
    url: Text


class ImagePart(RequestPart):
    image_url: ImageUrl


class AudioData(RequestPart):
    data: Text
    format: Literal["wav", "mp3"]


class AudioPart(RequestPart):
    input_audio: AudioData


class FilePart(RequestPart):
    file: JsonObject


Content = Annotated[
    Annotated[str, Tag(tag("string"))] | Annotated[list[_PartT], Field(min_length=1), Tag(tag("array"))],
    kind_of_value("one of a string or an array of objects", "string", "array"),
]
_UserPart = Annotated[
    Annotated[TextPart, Tag(tag("text"))]
    | Annotated[ImagePart, Tag(tag("image_url"))]
    | Annotated[AudioPart, Tag(tag("input_audio"))]
    | Annotated[FilePart, Tag(tag("file"))],
    alternative_by("type"),
]
_AssistantPart = Annotated[
    Annotated[TextPart, Tag(tag("text"))] | Annotated[RefusalPart, Tag(tag("refusal"))], alternative_by("type")
]


class ToolCall(RequestPart):
    id: Text
    type: Literal["function", "custom"]
    function: JsonObject | None = None
    custom: JsonObject | None = None


class UserMessage(RequestPart):
    role: Literal["user"]
    content: Content[_UserPart]


class InstructionMessage(RequestPart):
    role: Literal["system", "developer"]
    content: Content[TextPart]


class AssistantMessage(RequestPart):
    role: Literal["assistant"]
    content: Content[_AssistantPart] | None = None
    refusal: str | None = None
    tool_calls: list[ToolCall] | None = None
    function_call: JsonObject | None = None
    audio: JsonObject | None = None

    @property
    def is_empty(self) -> bool:
        return self.content is None and not (self.refusal or self.tool_calls or self.function_call or self.audio)


class ToolMessage(RequestPart):
    role: Literal["tool"]
    tool_call_id: Text
    content: Content[TextPart]


class FunctionMessage(RequestPart):
    role: Literal["function"]
    name: Text
    content: str | None = None


ChatMessage = Annotated[
    Annotated[InstructionMessage, Tag(tag("system"))]
    | Annotated[AssistantMessage, Tag(tag("assistant"))]
    | Annotated[UserMessage, Tag(tag("user"))]
    | Annotated[FunctionMessage, Tag(tag("function"))]
    | Annotated[ToolMessage, Tag(tag("tool"))]
    | Annotated[InstructionMessage, Tag(tag("developer"))],
    alternative_by("role"),
]


def text_of(content: Any) -> str:
    """The text of a message. Images and files have none."""
    if isinstance(content, list):
        return "\n".join(part.text for part in content if isinstance(part, TextPart))
    return content or ""
