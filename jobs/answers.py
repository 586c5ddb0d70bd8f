"""What comes of a request: answers, errors and the tokens that they took."""

import math
from typing import Annotated, Final, Literal, Self

from pydantic import Field, TypeAdapter

from jobs.frozen import FrozenModel


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
        given = math.ceil(input_chars / 4)
        return cls(input_tokens=given, output_tokens=pieces, total_tokens=given + pieces, estimated=True)

    def as_word(self) -> str:
        """As the record's hash keeps it: short, so that the hash stays in Redis' compact encoding."""
        return f"{self.input_tokens} {self.output_tokens} {self.estimated:d}"

    @classmethod
    def from_word(cls, word: str) -> Self:
        given, made, estimated = map(int, word.split())
        return cls(input_tokens=given, output_tokens=made, total_tokens=given + made, estimated=bool(estimated))


class ChatAnswer(FrozenModel):
    """The answer to a chat call; for an incomplete or cancelled job its text is what there was."""

    kind: Literal["chat"] = "chat"
    text: str = Field(repr=False)
    model: str | None
    finish_reason: str | None
    usage: Usage | None


class EmbeddingsAnswer(FrozenModel):
    """One vector for each input text, in order."""

    kind: Literal["embeddings"] = "embeddings"
    vectors: tuple[tuple[float, ...], ...] = Field(repr=False)
    model: str | None
    usage: Usage | None


Answer = Annotated[ChatAnswer | EmbeddingsAnswer, Field(discriminator="kind")]
ANSWER: Final[TypeAdapter[ChatAnswer | EmbeddingsAnswer]] = TypeAdapter(Answer)


class JobError(FrozenModel):
    """Why a job failed. Holds no prompt, answer or secret."""

    code: str
    message: str
