"""A chat call to the native API."""

from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal

from pydantic import Discriminator, Field, Tag

from jobs.document_tags import Tags
from jobs.kinds.base import Conversation, JobKind, TextAnswer
from jobs.model_name import ModelName
from jobs.requests import DocumentId, IntegralFloat, JobOptions, Message, Text
from jobs.results import AnswerSource, Citation

MAX_HISTORY: Final = 1_000  # messages; far above any model's context, bounds validation time
MAX_DOCUMENTS: Final = 100  # in one request

DocumentSelection = Annotated[
    Annotated[tuple[DocumentId, ...], Field(min_length=1, max_length=MAX_DOCUMENTS, fail_fast=True), Tag("ids")]
    | Annotated[Literal["all"], Tag("all")],
    Discriminator(
        lambda value: "all" if isinstance(value, str) else "ids"
    ),  # an error then concerns one alternative only
]


class ChatRequest(JobOptions):
    """A chat call: a message, with optional instructions and earlier messages."""

    message: Text = Field(description="The message to answer.", repr=False, examples=["Why is the sky blue?"])
    system: Text | None = Field(default=None, description="Instructions to the model.", repr=False)
    history: tuple[Message, ...] = Field(
        default=(),
        max_length=MAX_HISTORY,
        fail_fast=True,
        description="Earlier messages of the conversation, oldest first.",
        repr=False,
    )
    model: ModelName | None = Field(default=None, description="Model; the server's default when absent.")
    temperature: Annotated[float, Field(ge=0, le=2)] | None = Field(
        default=None, description="Sampling temperature, forwarded to the model."
    )
    max_output_tokens: Annotated[int, Field(ge=1, le=1_000_000), IntegralFloat] | None = Field(
        default=None, description="Maximum length of the answer in tokens; a truncated answer ends `incomplete`."
    )
    documents: DocumentSelection | None = Field(
        default=None, description="Answer from these documents, or from `all` of them, and cite them."
    )
    document_tags: Tags = Field(
        default=(), description="With `documents: all`: answer only from documents that have all of these tags."
    )


class ChatTask(ChatRequest, Conversation):
    kind: Literal["chat"]

    def texts(self) -> Iterator[str]:
        if self.system:
            yield self.system
        yield from (message.content for message in self.history)
        yield self.message


class ChatAnswer(TextAnswer):
    """The answer to a chat call."""

    kind: Literal["chat"] = "chat"
    citations: tuple[Citation, ...] | None = Field(
        default=None, description="Passages of the documents that support the answer; null without `documents`."
    )
    sources: tuple[AnswerSource, ...] | None = Field(
        default=None, description="All passages that the model was given; null without `documents`."
    )

    def event_fields(self) -> dict[str, Any]:
        if self.citations is None:
            return super().event_fields()
        fields = {"citations": [citation.model_dump() for citation in self.citations]}
        if self.sources is not None:
            fields["sources"] = [source.model_dump() for source in self.sources]
        return super().event_fields() | fields


KIND: Final = JobKind("chat", ChatTask, ChatAnswer, id_prefixes=("job", "chatcmpl", "resp"))
