"""The input items of a response's request, and the parts of their content."""

from typing import Annotated, Any, Final, Literal

from pydantic import Tag

from local.offline_model.bodies import RequestPart, Text
from local.offline_model.body_errors import alternative_by, tag, tag_of_any
from local.offline_model.chat_messages import Content

REFERENCE: Final = "item_reference"
_OUTPUT_SUFFIX: Final = "_output"
_OTHER_TYPES: Final = (
    "apply_patch_call",
    "apply_patch_call_output",
    "code_interpreter_call",
    "compaction",
    "computer_call",
    "computer_call_output",
    "custom_tool_call",
    "custom_tool_call_output",
    "file_search_call",
    "image_generation_call",
    REFERENCE,
    "local_shell_call",
    "local_shell_call_output",
    "mcp_approval_request",
    "mcp_approval_response",
    "mcp_call",
    "mcp_list_tools",
    "reasoning",
    "shell_call",
    "shell_call_output",
    "tool_search_call",
    "tool_search_output",
    "web_search_call",
)


class InputTextPart(RequestPart):
    text: str


class InputRefusalPart(RequestPart):
    refusal: str


class OtherPart(RequestPart):
    """An image, a file or audio."""


InputPart = Annotated[
    Annotated[InputTextPart, Tag(tag("input_text"))]
    | Annotated[OtherPart, Tag(tag("input_image"))]
    | Annotated[InputTextPart, Tag(tag("output_text"))]
    | Annotated[InputRefusalPart, Tag(tag("refusal"))]
    | Annotated[OtherPart, Tag(tag("input_file"))]
    | Annotated[OtherPart, Tag(tag("computer_screenshot"))]
    | Annotated[InputTextPart, Tag(tag("summary_text"))],
    alternative_by("type"),
]


class MessageItem(RequestPart):
    role: Literal["assistant", "system", "developer", "user"]
    content: Content[InputPart]


class OtherItem(RequestPart):
    """A call, its output, or reasoning: it has no effect on the answer."""

    type: Text
    id: str | None = None


class CallItem(OtherItem):
    call_id: Text
    name: Text
    arguments: str


class CallOutputItem(OtherItem):
    call_id: Text
    output: Any


InputItem = Annotated[
    Annotated[MessageItem, Tag(tag("message"))]
    | Annotated[CallItem, Tag(tag("function_call"))]
    | Annotated[CallOutputItem, Tag(tag("function_call_output"))]
    | Annotated[OtherItem, Tag(tag_of_any(_OTHER_TYPES))],
    alternative_by("type", default="message", others=_OTHER_TYPES),
]


def text_of(item: MessageItem | OtherItem) -> tuple[str, str]:
    """The role of an item and its text."""
    if not isinstance(item, MessageItem):
        return ("tool" if item.type.endswith(_OUTPUT_SUFFIX) else "assistant"), ""
    content = item.content
    if isinstance(content, list):
        content = "\n".join(part.text for part in content if isinstance(part, InputTextPart))
    return item.role, content
