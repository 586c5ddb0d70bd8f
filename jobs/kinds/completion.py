"""An OpenAI chat completion: the request and its answer."""

from typing import Any, Literal

from pydantic import Field

from jobs.kinds.base import PassthroughRequest
from jobs.results import TextAnswer


class CompletionTask(PassthroughRequest):
    """The body of POST /v1/chat/completions, without model, metadata and stream."""

    kind: Literal["completion"]


class CompletionAnswer(TextAnswer):
    """The answer to a chat completion; ``text`` is what its first choice says."""

    kind: Literal["completion"] = "completion"
    body: dict[str, Any] | None = Field(default=None, repr=False, description="The provider's chat.completion.")
