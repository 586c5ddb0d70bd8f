"""What the request bodies of the offline model have in common. Parameters without effect here are ignored.

A null is an absent parameter, as for OpenAI.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, Tag, ValidationError, model_validator

from local.offline_model.body_errors import BodyError, kind_of_value, missing_parameter, shown, tag, translate
from openai_format.types import JsonObject

MAX_CHOICES: Final = 128
MAX_TOP_LOGPROBS: Final = 20
Text = Annotated[str, Field(min_length=1)]
Choices = Annotated[int, Field(ge=1, le=MAX_CHOICES)]
TopLogprobs = Annotated[int, Field(ge=0, le=MAX_TOP_LOGPROBS)]
Penalty = Annotated[float, Field(ge=-2, le=2)]
Stop = Annotated[
    Annotated[str, Tag(tag("string"))] | Annotated[list[str], Field(max_length=4), Tag(tag("array"))],
    kind_of_value("one of a string or an array of strings", "string", "array"),
]
BodyModel = TypeVar("BodyModel", bound=BaseModel)
FormatName = Literal["text", "json_object", "json_schema"]


class RequestPart(BaseModel):
    """An object of a body. Unknown members are ignored."""

    model_config = ConfigDict(strict=True)

    @model_validator(mode="before")
    @classmethod
    def _drop_nulls(cls, value: Any) -> Any:
        if isinstance(value, dict) and None in value.values():
            return {name: member for name, member in value.items() if member is not None}
        return value


class ToolFunction(RequestPart):
    name: Text
    parameters: JsonObject | None = None


class StreamOptions(RequestPart):
    include_usage: bool = False


class SamplingBody(RequestPart):
    """The parameters that every call for text may have."""

    model: Text
    stream: bool = False
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None


@dataclass(frozen=True, slots=True)
class AnswerFormat:
    """``schema``: of an answer in the format `json_schema`."""

    name: FormatName = "text"
    schema: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AnswerRequest:
    """What one call asks for, in the format of no API.

    ``prompt`` is the last text of the user, the only one that may contain a directive. ``functions`` may be called.
    ``top_logprobs`` is None if no log-probabilities are requested.
    """

    prompt: str = field(repr=False)
    words: int
    is_user_turn: bool = True
    functions: tuple[ToolFunction, ...] = ()
    tool_choice: Literal["none", "auto", "required"] = "auto"
    max_calls: int | None = None
    answer_format: AnswerFormat = AnswerFormat()
    token_limit: int | None = None
    stop: tuple[str, ...] = ()
    choices: int = 1
    top_logprobs: int | None = None


class EmbeddingsBody(RequestPart):
    model: Text
    input: Annotated[
        Annotated[Text, Tag(tag("string"))]
        | Annotated[list[Text | list[int]], Field(min_length=1, max_length=2_048), Tag(tag("array"))],
        kind_of_value("one of a string or an array", "string", "array"),
    ]
    dimensions: Annotated[int, Field(ge=1, le=4_096)] | None = None
    encoding_format: Literal["float", "base64"] = "float"

    @property
    def texts(self) -> list[str]:
        """Token ids are treated as words."""
        inputs = [self.input] if isinstance(self.input, str) else self.input
        return [text if isinstance(text, str) else " ".join(map(str, text)) for text in inputs]


def parse_body(kind: type[BodyModel], data: bytes) -> BodyModel:
    """Raises BodyError."""
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        failure = error.errors(include_url=False)[0]
    raise translate(failure)


def stop_sequences(stop: str | list[str] | None) -> tuple[str, ...]:
    return tuple(filter(None, [stop] if isinstance(stop, str) else stop or ()))


def check_stream_options(is_stream: bool, options: StreamOptions | None) -> None:
    """Raises BodyError."""
    if options is not None and not is_stream:
        raise BodyError("The 'stream_options' parameter is only allowed when 'stream' is enabled.", "stream_options")


def find_functions(functions: Iterable[ToolFunction], names: Sequence[Any]) -> list[ToolFunction]:
    """The functions with these names. Raises BodyError for a name that the tools do not have."""
    known = {function.name: function for function in functions}
    for name in names:
        if name not in known:
            message = f"Invalid value for 'tool_choice': no function named {shown(name)} was specified in 'tools'."
            raise BodyError(message, "tool_choice")
    return [known[name] for name in names]


def answer_format(param: str, name: FormatName, json_schema: JsonObject | None) -> AnswerFormat:
    """The format of an answer; ``json_schema`` holds the schema and its name. Raises BodyError."""
    if name != "json_schema":
        return AnswerFormat(name)
    for member in ("name", "schema"):
        if not (json_schema or {}).get(member):
            raise missing_parameter(f"{param}.{member}")
    schema = (json_schema or {})["schema"]
    if not isinstance(schema, dict):
        raise BodyError(f"Invalid type for '{param}.schema': expected an object.", f"{param}.schema", "invalid_type")
    return AnswerFormat(name, schema)
