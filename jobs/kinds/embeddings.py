"""Texts turned into vectors: the request and its answer."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from jobs.base import FrozenModel
from jobs.requests import IntegralFloat, JobOptions, ModelName, Text
from jobs.results import Usage

MAX_INPUTS = 2_048  # texts in one embeddings request: OpenAI's own limit
MAX_TOKENS = 100_000  # of one text; above any model's limit, bounds validation time

Dimensions = Annotated[int, Field(ge=1, le=8_192), IntegralFloat]
Tokens = Annotated[
    tuple[Annotated[int, Field(ge=0), IntegralFloat], ...],
    Field(min_length=1, max_length=MAX_TOKENS),
]
EmbeddingsInput = Annotated[
    tuple[
        Annotated[
            Annotated[Text, Tag("text")] | Annotated[Tokens, Tag("tokens")],
            Discriminator(lambda value: "text" if isinstance(value, str) else "tokens"),
        ],
        ...,
    ],
    Field(min_length=1, max_length=MAX_INPUTS),
]


class EmbeddingsRequest(JobOptions):
    """Texts to turn into vectors, in one call."""

    input: EmbeddingsInput = Field(
        description="Texts, or texts as tokens; the vectors come back in the same order.",
        repr=False,
        examples=[["first", "second"]],
    )
    model: ModelName | None = Field(default=None, description="Model; the server's default when absent.")
    dimensions: Dimensions | None = Field(
        default=None, description="Length of each vector, where the model can choose."
    )
    encoding_format: Literal["float", "base64"] = Field(
        default="float", description="Vectors as numbers, or as base64 of little-endian float32."
    )
    extra_body: dict[str, Any] = Field(
        default={}, description="What else the provider should be told, passed on as it is.", repr=False
    )


class EmbeddingsTask(EmbeddingsRequest):
    kind: Literal["embeddings"]


class EmbeddingsAnswer(FrozenModel):
    """One vector for each input text, in order."""

    kind: Literal["embeddings"] = "embeddings"
    vectors: tuple[str, ...] = Field(repr=False, description="Each as base64 of little-endian float32.")
    encoding_format: Literal["float", "base64"] = Field(default="float", description="How they were asked for.")
    model: str | None
    usage: Usage | None
