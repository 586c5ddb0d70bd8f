"""Embeddings: texts turned into vectors."""

from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, ValidationInfo

from jobs.control_fields import refuse_control_fields
from jobs.kinds.base import Answer, JobKind, JobRequest
from jobs.model_name import ModelName
from jobs.requests import IntegralFloat, JobOptions, NewText, NonEmptyText

MAX_INPUTS: Final = 2_048  # texts in one embeddings request: OpenAI's own limit
MAX_TOKENS: Final = 100_000  # of one text; above any model's limit, bounds validation time

Dimensions = Annotated[int, Field(ge=1, le=8_192), IntegralFloat]
Tokens = Annotated[
    tuple[Annotated[int, Field(ge=0), IntegralFloat], ...],
    Field(min_length=1, max_length=MAX_TOKENS, fail_fast=True),
]
_TEXT_OR_TOKENS: Final = Discriminator(lambda value: "text" if isinstance(value, str) else "tokens")
_COUNT: Final = Field(min_length=1, max_length=MAX_INPUTS, fail_fast=True)
EmbeddingsInput = Annotated[
    tuple[
        Annotated[Annotated[NewText, Tag("text")] | Annotated[Tokens, Tag("tokens")], _TEXT_OR_TOKENS],
        ...,
    ],
    _COUNT,
]
OpenAIEmbeddingsInput = Annotated[  # OpenAI embeds spaces
    tuple[
        Annotated[Annotated[NonEmptyText, Tag("text")] | Annotated[Tokens, Tag("tokens")], _TEXT_OR_TOKENS],
        ...,
    ],
    _COUNT,
]


def _check_extra_body(extra_body: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
    """Only at the API, which validates with a context: a stored request stays readable."""
    if info.context is not None:
        refuse_control_fields(extra_body)
    return extra_body


class EmbeddingsRequest(JobOptions):
    """Texts to turn into vectors, in one call."""

    input: EmbeddingsInput = Field(
        description="Texts, or texts as token ids. The vectors are returned in the same order.",
        repr=False,
        examples=[["first", "second"]],
    )
    model: ModelName | None = Field(default=None, description="Model; the server's default when absent.")
    dimensions: Dimensions | None = Field(
        default=None, description="Length of each vector, for models that support a choice."
    )
    encoding_format: Literal["float", "base64"] = Field(
        default="float", description="Vectors as numbers, or as base64 of little-endian float32."
    )
    extra_body: Annotated[dict[str, Any], AfterValidator(_check_extra_body)] = Field(
        default={}, description="Further fields, forwarded to the provider unchanged.", repr=False
    )


class EmbeddingsTask(EmbeddingsRequest, JobRequest):
    kind: Literal["embeddings"]

    def texts(self) -> Iterator[str]:
        return (text for text in self.input if isinstance(text, str))

    @property
    def preview_text(self) -> str:
        return next(self.texts(), "")


class EmbeddingsAnswer(Answer):
    """One vector for each input text, in order."""

    kind: Literal["embeddings"] = "embeddings"
    vectors: tuple[str, ...] = Field(repr=False, description="Each as base64 of little-endian float32.")
    encoding_format: Literal["float", "base64"] = Field(default="float", description="The format that was requested.")


KIND: Final = JobKind(
    "embeddings", EmbeddingsTask, EmbeddingsAnswer, id_prefixes=("job", "embd"), default_model="embedding_model"
)
