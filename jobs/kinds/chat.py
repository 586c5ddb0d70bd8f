"""A chat call: the native API's request and its answer."""

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from jobs.requests import DocumentId, IntegralFloat, JobOptions, Message, ModelName, Text
from jobs.results import Citation, TextAnswer

MAX_HISTORY = 1_000  # turns; far above any model's context, bounds validation time
MAX_DOCUMENTS = 100  # that one question may name

DocumentSelection = Annotated[
    Annotated[tuple[DocumentId, ...], Field(min_length=1, max_length=MAX_DOCUMENTS), Tag("ids")]
    | Annotated[Literal["all"], Tag("all")],
    Discriminator(lambda value: "all" if isinstance(value, str) else "ids"),  # of an error: which of them was meant
]


class ChatRequest(JobOptions):
    """A chat call: one message, and what the model should know before it."""

    message: Text = Field(description="What to answer.", repr=False, examples=["Why is the sky blue?"])
    system: Text | None = Field(default=None, description="Instructions to the model.", repr=False)
    history: tuple[Message, ...] = Field(
        default=(),
        max_length=MAX_HISTORY,
        description="Earlier turns, the oldest first.",
        repr=False,
    )
    model: ModelName | None = Field(default=None, description="Model; the server's default when absent.")
    temperature: Annotated[float, Field(ge=0, le=2)] | None = Field(default=None, description="Passed on to the model.")
    max_output_tokens: Annotated[int, Field(ge=1, le=1_000_000), IntegralFloat] | None = Field(
        default=None, description="Longest answer; a cut one ends `incomplete`."
    )
    documents: DocumentSelection | None = Field(
        default=None, description="Answer from these documents, or from `all`, and cite them."
    )


class ChatTask(ChatRequest):
    kind: Literal["chat"]


class ChatAnswer(TextAnswer):
    """The answer to a chat call."""

    kind: Literal["chat"] = "chat"
    citations: tuple[Citation, ...] | None = Field(
        default=None, description="Where it stands in the documents that were asked; null when none were."
    )
