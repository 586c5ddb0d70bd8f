"""What we read of a body in OpenAI's shape; all the rest of it is the provider's to judge."""

import json
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, ConfigDict, Field

from jobs.errors import MalformedJson
from jobs.frozen import FrozenModel
from jobs.requests import Dimensions, EmbeddingsInput, Metadata, ModelName

_OURS: Final = frozenset({"model", "metadata", "stream"})


class Body(FrozenModel):
    """Strict where we look, open to whatever else a client says."""

    model_config = ConfigDict(frozen=True, strict=True, extra="allow", hide_input_in_errors=True)

    model: ModelName | None = None
    metadata: Metadata | None = Field(default=None, repr=False)
    stream: bool | None = None

    def passed_on(self, *ours: str) -> dict[str, Any]:
        """All that was said, less what is ours. Raises MalformedJson for a number that JSON has no word for."""
        said = self.model_dump(exclude_unset=True, exclude={*_OURS, *ours})
        try:
            json.dumps(said, allow_nan=False)
        except ValueError:
            raise MalformedJson("a number in the body is none, or is infinite") from None
        return said


class CompletionBody(Body):
    messages: Annotated[list[dict[str, Any]], Field(min_length=1)] = Field(repr=False)
    stream_options: dict[str, Any] | None = None


class ResponseBody(Body):
    input: str | list[dict[str, Any]] | None = Field(default=None, repr=False)
    background: bool | None = None
    store: bool | None = None
    previous_response_id: str | None = None


def _as_many(given: Any) -> Any:
    """One text, or one list of tokens, is a list of one."""
    many = [given] if isinstance(given, str) or _is_tokens(given) else given
    return tuple(tuple(one) if isinstance(one, list) else one for one in many) if isinstance(many, list) else many


def _is_tokens(given: Any) -> bool:
    return isinstance(given, list) and bool(given) and all(isinstance(token, int) for token in given)


class EmbeddingsBody(Body):
    input: Annotated[EmbeddingsInput, BeforeValidator(_as_many)] = Field(repr=False)
    dimensions: Dimensions | None = None
    encoding_format: Literal["float", "base64"] = "float"


class StreamQuery(FrozenModel):
    """Of GET /v1/responses/{id}; what else a client asks to be included is there, or cannot be had any more."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    stream: bool = False
    starting_after: Annotated[int, Field(ge=0, le=10**15)] | None = None


class ItemsQuery(FrozenModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    limit: Annotated[int, Field(ge=1, le=100)] = 20
    order: Literal["asc", "desc"] = "desc"
    after: str | None = None
