"""An OpenAI response: the request and its answer."""

from typing import Any, Literal

from pydantic import Field

from jobs.kinds.base import PassthroughRequest
from jobs.results import TextAnswer


class ResponseTask(PassthroughRequest):
    """The body of POST /v1/responses, without model, metadata and stream."""

    kind: Literal["response"]
    background: bool = False
    store: bool = True
    previous_response_id: str | None = None
    previous_items: tuple[dict[str, Any], ...] = Field(
        default=(), repr=False
    )  # items of the conversation before this input


class ResponseAnswer(TextAnswer):
    """The answer to a response; ``text`` is what its messages say."""

    kind: Literal["response"] = "response"
    body: dict[str, Any] | None = Field(
        default=None,
        repr=False,
        description="The provider's response. A message without an id says its own text, or all of `text`.",
    )
