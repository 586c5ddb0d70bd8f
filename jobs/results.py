"""What comes of a request: answers, errors and the tokens that they took."""

import math
from typing import Annotated, Any, Final, Literal, Self, TypeAlias

from pydantic import Field, TypeAdapter

from jobs.base import HIDE_INPUT, FrozenModel


class Usage(FrozenModel):
    """Tokens."""

    input_tokens: Annotated[int, Field(ge=0)]
    output_tokens: Annotated[int, Field(ge=0)]
    total_tokens: Annotated[int, Field(ge=0)]
    estimated: bool = Field(
        default=False,
        description="Not counted by the provider: 4 characters of input, or a piece of the stream, for a token.",
    )

    @classmethod
    def estimate(cls, input_chars: int, pieces: int) -> Self:
        """Before the provider has counted. Four characters a token is OpenAI's own rule of thumb for English."""
        input_tokens = math.ceil(input_chars / 4)
        return cls(input_tokens=input_tokens, output_tokens=pieces, total_tokens=input_tokens + pieces, estimated=True)

    def to_string(self) -> str:
        """As the record's hash keeps it: short, so that the hash stays in Redis' compact encoding."""
        return f"{self.input_tokens} {self.output_tokens} {self.estimated:d}"

    @classmethod
    def from_string(cls, text: str) -> Self:
        input_tokens, output_tokens, estimated = map(int, text.split())
        return cls(
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            total_tokens=input_tokens + output_tokens,
            estimated=bool(estimated),
        )


class TextAnswer(FrozenModel):
    """What every conversation comes to; for an incomplete or cancelled job its text is what there was."""

    text: str = Field(repr=False)
    model: str | None
    finish_reason: str | None
    usage: Usage | None


class Citation(FrozenModel):
    """A place that an answer rests on."""

    document_id: str
    filename: str
    page: int
    quote: str = Field(repr=False, description="Literally on that page.")
    score: float = Field(description="0 to 1: how well the place fits the question.")


class ChatAnswer(TextAnswer):
    """The answer to a chat call."""

    kind: Literal["chat"] = "chat"
    citations: tuple[Citation, ...] | None = Field(
        default=None, description="Where it stands in the documents that were asked; null when none were."
    )


class CompletionAnswer(TextAnswer):
    """The answer to a chat completion; ``text`` is what its first choice says."""

    kind: Literal["completion"] = "completion"
    body: dict[str, Any] | None = Field(default=None, repr=False, description="The provider's chat.completion.")


class ResponseAnswer(TextAnswer):
    """The answer to a response; ``text`` is what its messages say."""

    kind: Literal["response"] = "response"
    body: dict[str, Any] | None = Field(
        default=None,
        repr=False,
        description="The provider's response. A message without an id says its own text, or all of `text`.",
    )


class EmbeddingsAnswer(FrozenModel):
    """One vector for each input text, in order."""

    kind: Literal["embeddings"] = "embeddings"
    vectors: tuple[str, ...] = Field(repr=False, description="Each as base64 of little-endian float32.")
    encoding_format: Literal["float", "base64"] = Field(default="float", description="How they were asked for.")
    model: str | None
    usage: Usage | None


class IngestAnswer(FrozenModel):
    """What has come of a document; it can be asked."""

    kind: Literal["ingest"] = "ingest"
    document_id: str
    pages: int
    chunks: int
    pages_without_text: tuple[int, ...] = Field(description="Scanned pages above all.")
    damaged_pages: tuple[int, ...]
    model: str | None = Field(description="Of its embeddings.")
    usage: Usage | None


class RemovalAnswer(FrozenModel):
    """A document's file and chunks are gone."""

    kind: Literal["removal"] = "removal"
    document_id: str
    model: None = None
    usage: None = None


AnyAnswer: TypeAlias = ChatAnswer | EmbeddingsAnswer | CompletionAnswer | ResponseAnswer | IngestAnswer | RemovalAnswer
Answer = Annotated[AnyAnswer, Field(discriminator="kind")]
ANSWER: Final[TypeAdapter[AnyAnswer]] = TypeAdapter(Answer, config=HIDE_INPUT)


class JobError(FrozenModel):
    """Why a job failed. Holds no prompt, answer or secret."""

    code: str
    message: str
