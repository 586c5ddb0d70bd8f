"""An OpenAI chat completion."""

from typing import Any, Final, Literal

from pydantic import Field

from jobs.kinds.base import JobKind, PassthroughRequest, TextAnswer


class CompletionTask(PassthroughRequest):
    """The body of POST /v1/chat/completions, without model, metadata and stream."""

    kind: Literal["completion"]


class CompletionAnswer(TextAnswer):
    """The answer to a chat completion; ``text`` is the text of its first choice."""

    kind: Literal["completion"] = "completion"
    body: dict[str, Any] | None = Field(
        default=None, repr=False, description="The provider's `chat.completion` object."
    )


# Streamed tool calls are only in the event log.
KIND: Final = JobKind(
    "completion", CompletionTask, CompletionAnswer, id_prefixes=("chatcmpl",), keeps_events_with_answer=True
)
