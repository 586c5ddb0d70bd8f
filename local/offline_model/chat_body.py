"""The body of a chat completion. It rejects what OpenAI rejects, with the same errors."""

from collections.abc import Iterable
from typing import Annotated, Any, Final, Literal

from pydantic import Field, Tag

from local.offline_model.bodies import (
    AnswerFormat,
    AnswerRequest,
    Choices,
    FormatName,
    Penalty,
    RequestPart,
    SamplingBody,
    Stop,
    StreamOptions,
    Text,
    ToolFunction,
    TopLogprobs,
    answer_format,
    check_stream_options,
    find_functions,
    stop_sequences,
)
from local.offline_model.body_errors import (
    BodyError,
    alternative_by,
    kind_of_value,
    missing_parameter,
    tag,
    unsupported_parameter,
    unsupported_value,
)
from local.offline_model.chat_messages import AssistantMessage, ChatMessage, text_of
from openai_format.types import JsonObject

_REPLACED: Final = {"functions": "tools", "function_call": "tool_choice"}


class FunctionTool(RequestPart):
    function: ToolFunction


class CustomTool(RequestPart):
    custom: ToolFunction


Tool = Annotated[
    Annotated[FunctionTool, Tag(tag("function"))] | Annotated[CustomTool, Tag(tag("custom"))], alternative_by("type")
]


class NamedFunction(RequestPart):
    name: Text


class FunctionChoice(RequestPart):
    function: NamedFunction


class AllowedTools(RequestPart):
    mode: Literal["auto", "required"]
    tools: list[JsonObject]


class AllowedToolsChoice(RequestPart):
    allowed_tools: AllowedTools


class CustomChoice(RequestPart):
    custom: NamedFunction


ToolChoice = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag(tag("string"))]
    | Annotated[
        Annotated[FunctionChoice, Tag(tag("function"))]
        | Annotated[AllowedToolsChoice, Tag(tag("allowed_tools"))]
        | Annotated[CustomChoice, Tag(tag("custom"))],
        alternative_by("type"),
        Tag(tag("object")),
    ],
    kind_of_value("one of a string or an object", "string", "object"),
]


class ResponseFormat(RequestPart):
    type: FormatName
    json_schema: JsonObject | None = None


class ChatBody(SamplingBody):
    messages: Annotated[list[ChatMessage], Field(min_length=1)]
    stream_options: StreamOptions | None = None
    tools: Annotated[list[Tool], Field(min_length=1)] | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool = True
    response_format: ResponseFormat | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    n: Choices = 1
    stop: Stop | None = None
    logprobs: bool = False
    top_logprobs: TopLogprobs | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    seed: int | None = None
    modalities: list[str] | None = None
    functions: Any = None
    function_call: Any = None

    @property
    def wants_usage(self) -> bool:
        """Whether the last chunk of a stream reports usage."""
        return self.stream_options is not None and self.stream_options.include_usage

    def answer_request(self) -> AnswerRequest:
        """Raises BodyError for parameters that contradict each other, or that no answer here could follow."""
        self._check()
        texts = [(message.role, text_of(message.content)) for message in self.messages]
        functions = [tool.function for tool in self.tools or () if isinstance(tool, FunctionTool)]
        chosen, mode = self._chosen_functions(functions)
        return AnswerRequest(
            prompt=next((text for role, text in reversed(texts) if role == "user"), ""),
            words=sum(len(text.split()) for _, text in texts),
            is_user_turn=self.messages[-1].role == "user",
            functions=tuple(chosen),
            tool_choice=mode,
            max_calls=None if self.parallel_tool_calls else 1,
            answer_format=self._answer_format([text for _, text in texts]),
            token_limit=self.max_completion_tokens or self.max_tokens,
            stop=stop_sequences(self.stop),
            choices=self.n,
            top_logprobs=(self.top_logprobs or 0) if self.logprobs else None,
        )

    def _check(self) -> None:
        check_stream_options(self.stream, self.stream_options)
        for name, replacement in _REPLACED.items():
            if getattr(self, name) is not None:
                raise unsupported_parameter(name, f" Use '{replacement}' instead.")
        if unsupported := [name for name in self.modalities or () if name != "text"]:
            raise unsupported_value("modalities", unsupported[0])
        if self.max_tokens and self.max_completion_tokens:
            raise BodyError(
                "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
                "max_tokens",
                "invalid_parameter_combination",
            )
        if self.top_logprobs is not None and not self.logprobs:
            message = "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled."
            raise BodyError(message, "top_logprobs")
        for number, entry in enumerate(self.messages):
            if isinstance(entry, AssistantMessage) and entry.is_empty:
                param = f"messages[{number}].content"
                raise BodyError(f"Invalid value for '{param}': expected a string, got null.", param)

    def _chosen_functions(
        self, functions: list[ToolFunction]
    ) -> tuple[list[ToolFunction], Literal["none", "auto", "required"]]:
        """The functions that may be called, and whether one must be."""
        match self.tool_choice:
            case None:
                return functions, "auto"
            case "none" | "auto" | "required" as mode:
                self._require_tools()
                return functions, mode
            case FunctionChoice(function=named):
                return find_functions(functions, [named.name]), "required"
            case AllowedToolsChoice(allowed_tools=allowed):
                names = [(tool.get("function") or {}).get("name") for tool in allowed.tools]
                return find_functions(functions, names), allowed.mode
        raise unsupported_value("tool_choice.type", "custom")

    def _require_tools(self) -> None:
        if not self.tools:
            message = "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified."
            raise BodyError(message, "tool_choice")

    def _answer_format(self, texts: Iterable[str]) -> AnswerFormat:
        if self.response_format is None:
            return AnswerFormat()
        name, param = self.response_format.type, "response_format"
        if name == "json_schema" and self.response_format.json_schema is None:
            raise missing_parameter(f"{param}.json_schema")
        if name == "json_object" and not any("json" in text.lower() for text in texts):
            message = (
                "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'."
            )
            raise BodyError(message, "messages")
        return answer_format(f"{param}.json_schema", name, self.response_format.json_schema)
