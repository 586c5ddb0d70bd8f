"""What comes of a request: answers, errors and the tokens that they took."""

import math
from typing import Annotated, Self

from pydantic import Field

from jobs.base import FrozenModel


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


class JobError(FrozenModel):
    """Why a job failed. Holds no prompt, answer or secret."""

    code: str
    message: str
