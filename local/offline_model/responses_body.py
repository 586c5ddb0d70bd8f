"""The body of a request for a response. It rejects what OpenAI rejects, with the same errors."""

from typing import Annotated, Any, Final, Literal

from pydantic import Field, Tag

from local.offline_model.bodies import (
    AnswerFormat,
    AnswerRequest,
    RequestPart,
    SamplingBody,
    Text,
    ToolFunction,
    TopLogprobs,
    answer_format,
    find_functions,
)
from local.offline_model.body_errors import (
    BodyError,
    invalid_value,
    kind_of_value,
    missing_parameter,
    shown,
    tag,
    unsupported_parameter,
    unsupported_value,
)
from local.offline_model.responses_items import REFERENCE, InputItem, OtherItem, text_of
from openai_format.types import JsonObject

_LOGPROBS: Final = "message.output_text.logprobs"
_TOOL_TYPES: Final = (
    "apply_patch",
    "code_interpreter",
    "computer",
    "computer_use_preview",
    "custom",
    "file_search",
    "function",
    "image_generation",
    "local_shell",
    "mcp",
    "namespace",
    "shell",
    "tool_search",
    "web_search",
    "web_search_2025_08_26",
    "web_search_preview",
    "web_search_preview_2025_03_11",
)


class ResponsesTool(RequestPart):
    type: Text
    name: str | None = None
    parameters: JsonObject | None = None


class NamedChoice(RequestPart):
    type: Text
    name: str | None = None
    mode: Literal["auto", "required"] = "auto"
    tools: list[JsonObject] = Field(default_factory=list)


class TextOptions(RequestPart):
    format: JsonObject | None = None


class ResponsesBody(SamplingBody):
    input: (
        Annotated[
            Annotated[str, Tag(tag("string"))] | Annotated[list[InputItem], Tag(tag("array"))],
            kind_of_value("one of a string or an array of objects", "string", "array"),
        ]
        | None
    ) = None
    instructions: str | None = None
    max_output_tokens: Annotated[int, Field(ge=1)] | None = None
    tools: list[ResponsesTool] = Field(default_factory=list)
    tool_choice: (
        Annotated[
            Annotated[Literal["none", "auto", "required"], Tag(tag("string"))]
            | Annotated[NamedChoice, Tag(tag("object"))],
            kind_of_value("one of a string or an object", "string", "object"),
        ]
        | None
    ) = None
    parallel_tool_calls: bool = True
    text: TextOptions | None = None
    top_logprobs: TopLogprobs | None = None
    include: list[str] = Field(default_factory=list)
    background: bool = False
    previous_response_id: str | None = None
    conversation: Any = None
    prompt: Any = None

    @property
    def wants_usage(self) -> bool:
        return True

    def answer_request(self) -> AnswerRequest:
        """Raises BodyError for parameters that contradict each other, or that no answer here could follow."""
        self._check()
        items = self.input
        texts = [("user", items)] if isinstance(items, str) else [text_of(item) for item in items or ()]
        functions = [
            ToolFunction(name=tool.name or "", parameters=tool.parameters)
            for tool in self.tools
            if tool.type == "function"
        ]
        chosen, mode = self._chosen_functions(functions)
        all_texts = [self.instructions or "", *(text for _, text in texts)]
        wants_logprobs = _LOGPROBS in self.include or self.top_logprobs is not None
        return AnswerRequest(
            prompt=next((text for role, text in reversed(texts) if role == "user"), ""),
            words=sum(len(text.split()) for text in all_texts),
            is_user_turn=texts[-1][0] == "user",
            functions=tuple(chosen),
            tool_choice=mode,
            max_calls=None if self.parallel_tool_calls else 1,
            answer_format=self._answer_format(all_texts),
            token_limit=self.max_output_tokens,
            top_logprobs=(self.top_logprobs or 0) if wants_logprobs else None,
        )

    def _check(self) -> None:
        if self.previous_response_id is not None:
            message = f"Previous response with id {shown(self.previous_response_id)} not found."
            raise BodyError(message, "previous_response_id", "previous_response_not_found")
        for name in ("conversation", "prompt", "background"):
            if getattr(self, name):
                raise unsupported_parameter(name)
        if not self.input and self.input != "":
            message = 'One of "input" or "previous_response_id" or "prompt" or "conversation" must be provided.'
            raise BodyError(message, "input", "missing_required_parameter")
        for item in self.input if isinstance(self.input, list) else ():
            if isinstance(item, OtherItem) and item.type == REFERENCE:
                raise BodyError(f"Item with id {shown(item.id)} not found.", "input", status=404)
        for number, tool in enumerate(self.tools):
            if tool.type not in _TOOL_TYPES:
                raise invalid_value(f"tools[{number}].type", tool.type, ", ".join(f"'{name}'" for name in _TOOL_TYPES))
            if tool.type in ("function", "custom") and not tool.name:
                raise missing_parameter(f"tools[{number}].name")

    def _chosen_functions(
        self, functions: list[ToolFunction]
    ) -> tuple[list[ToolFunction], Literal["none", "auto", "required"]]:
        """The functions that may be called, and whether one must be."""
        match self.tool_choice:
            case None:
                return functions, "auto"
            case NamedChoice(type="function", name=name):
                return find_functions(functions, [name]), "required"
            case NamedChoice(type="allowed_tools", mode=mode, tools=tools):
                return find_functions(functions, [tool.get("name") for tool in tools]), mode
            case NamedChoice(type=kind):
                raise unsupported_value("tool_choice.type", kind)
            case "none" | "auto" | "required" as word:
                if word == "required" and not functions:
                    message = "Tool choice 'required' must be specified with 'tools' parameter."
                    raise BodyError(message, "tool_choice")
                return functions, word
        raise AssertionError("unreachable")

    def _answer_format(self, texts: list[str]) -> AnswerFormat:
        format_object = (self.text.format if self.text else None) or {"type": "text"}
        name = format_object.get("type")
        if name not in ("text", "json_object", "json_schema"):
            raise invalid_value("text.format.type", name, "'json_object', 'json_schema', and 'text'")
        if name == "json_object" and not any("json" in text.lower() for text in texts):
            message = (
                "Response input messages must contain the word 'json' in some form "
                "to use 'text.format' of type 'json_object'."
            )
            raise BodyError(message, "input")
        return answer_format("text.format", name, format_object)
