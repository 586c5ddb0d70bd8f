"""An OpenAI response."""

from collections.abc import Iterator
from typing import Any, ClassVar, Final, Literal

from pydantic import Field

from jobs.kinds.base import JobKind, PassthroughRequest, TextAnswer, collect_texts


class ResponseTask(PassthroughRequest):
    """The body of POST /v1/responses, without model, metadata and stream."""

    # Read from the previous response, which may have expired when the request is repeated.
    unfingerprinted_fields: ClassVar[frozenset[str]] = frozenset({"previous_items", "responses_only"})
    ignorable_fields: ClassVar[frozenset[str]] = PassthroughRequest.ignorable_fields | {"responses_only"}

    kind: Literal["response"]
    background: bool = False
    store: bool = True
    previous_response_id: str | None = None
    # The items of the conversation before this input.
    previous_items: tuple[dict[str, Any], ...] = Field(default=(), repr=False)

    def texts(self) -> Iterator[str]:
        yield from collect_texts(list(self.previous_items))
        yield from super().texts()

    # Found out only if the model has a target that is limited to chat completions.
    responses_only: bool = False

    @property
    def needs_responses_api(self) -> bool:
        return self.responses_only

    @property
    def is_stored(self) -> bool:
        return self.store


class ResponseAnswer(TextAnswer):
    """The answer to a response; ``text`` is the text of its messages."""

    kind: Literal["response"] = "response"
    body: dict[str, Any] | None = Field(
        default=None,
        repr=False,
        description="The provider's `response` object. A message without an id has its own text, or all of `text`.",
    )


# The sequence numbers of a response's events can only be derived from the event log.
KIND: Final = JobKind("response", ResponseTask, ResponseAnswer, id_prefixes=("resp",), keeps_events_with_answer=True)
