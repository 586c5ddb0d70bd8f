"""The parts of a job's outcome that several kinds share: token usage, citations and errors."""

import math
from typing import Annotated, Self

from pydantic import Field

from jobs.base import FrozenModel
from jobs.errors import ProviderError


class Usage(FrozenModel):
    """Tokens used by an attempt."""

    input_tokens: Annotated[int, Field(ge=0)]
    output_tokens: Annotated[int, Field(ge=0)]
    total_tokens: Annotated[int, Field(ge=0)]
    estimated: bool = Field(
        default=False,
        description="True if the provider reported no counts. "
        "The estimate counts 4 characters of input, or 1 delta of output, as one token.",
    )

    @classmethod
    def estimate(cls, input_chars: int, deltas: int) -> Self:
        """Used until the provider reports counts. Four characters a token is OpenAI's own rule of thumb for English."""
        input_tokens = math.ceil(input_chars / 4)
        return cls(input_tokens=input_tokens, output_tokens=deltas, total_tokens=input_tokens + deltas, estimated=True)

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            total_tokens=self.total_tokens + other.total_tokens,
            estimated=self.estimated or other.estimated,
        )

    def to_string(self) -> str:
        """The form in the record's hash: short, so that the hash stays in Redis' compact encoding."""
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


class SectionStep(FrozenModel):
    """A part of long documents that has been summarized for a request about all of them."""

    key: str = Field(description="Identifies the step, so that a retried attempt does not repeat it.")
    document_id: str = Field(description="Empty for a step that combines summaries.")
    filename: str
    title: str = Field(repr=False, description="Title of the chapter; empty if unknown.")
    first_page: int
    last_page: int
    text: str = Field(repr=False, description="The summary.")
    pages_done: int = Field(description="Pages that have been summarized, with those of this section.")
    pages: int = Field(description="All pages to summarize; a page with two chapters counts for each.")


class Citation(FrozenModel):
    """A passage that supports an answer."""

    document_id: str
    filename: str
    page: int
    page_label: str | None = None
    quote: str = Field(repr=False, description="Verbatim text of that page.")
    score: float = Field(description="0 to 1: how well the passage matches the question.")
    support: float | None = Field(
        default=None,
        description="0 to 1: the share of the citing statement's words that the quote contains; null if it has none.",
    )


class AnswerSource(FrozenModel):
    """A passage that was given to the model. The answer may cite it or not."""

    number: int
    document_id: str
    filename: str
    page: int
    start: int | None = None
    end: int | None = None
    score: float = Field(description="0 to 1: how well the passage matches the question.")
    selection: str = Field(default="match", description="Why the passage was selected.")


class JobError(FrozenModel):
    """Why a job failed. Only ``provider`` may contain a part of the prompt."""

    code: str
    message: str
    provider: ProviderError | None = Field(
        default=None, description="The provider's own error, if the provider reported one."
    )
