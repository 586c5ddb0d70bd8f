"""The base classes of every kind of job: its request, its answer, and the properties that other packages use.

A new kind is one module here, one module in tasks/handlers, and one line in the registry of each package.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal

from pydantic import Field

from jobs.base import FrozenModel
from jobs.model_name import ModelName
from jobs.requests import DocumentId, JobOptions, StreamOptions
from jobs.results import Usage

_TEXT_FIELDS: Final = ("instructions", "messages", "input", "content", "text", "arguments", "output")


class JobRequest(JobOptions):
    """The request of a job. Each kind has one subclass; ``kind`` is its name."""

    unfingerprinted_fields: ClassVar[frozenset[str]] = frozenset()  # they may differ in a repeated request
    ignorable_fields: ClassVar[frozenset[str]] = frozenset()  # an older worker may run the request without these

    kind: str
    model: ModelName | None = None

    def texts(self) -> Iterator[str]:
        """All text that the model reads, oldest first. Images and files are left out."""
        return iter(())

    @property
    def input_chars(self) -> int:
        """Number of characters in all text that the model reads."""
        return sum(map(len, self.texts()))

    @property
    def preview_text(self) -> str:
        """The text whose beginning is shown in lists of jobs: by default the latest."""
        return next(iter(deque(self.texts(), maxlen=1)), "")

    @property
    def needs_responses_api(self) -> bool:
        """True if only a target that supports /responses can serve the request."""
        return False

    @property
    def is_stored(self) -> bool:
        """False if the caller asked not to store the answer: the record then expires soon after the end."""
        return True


class Conversation(JobRequest):
    """A request that is answered with streamed text. Its partial text is kept when the job is cancelled or fails."""


class PassthroughRequest(Conversation):
    """A body in OpenAI's format without the fields that we handle. Unrecognised fields reach the provider unchanged."""

    ignorable_fields: ClassVar[frozenset[str]] = frozenset({"stream_options"})  # only the API reads them

    body: dict[str, Any] = Field(repr=False)
    stream_options: StreamOptions | None = None

    def texts(self) -> Iterator[str]:
        return collect_texts(self.body)


class DocumentRequest(JobRequest):
    """Work on one uploaded document, for the document's own sake: the caller asks no model."""

    document_id: DocumentId
    filename: str
    model: None = None

    @property
    def preview_text(self) -> str:
        return self.filename


class Answer(FrozenModel):
    """The result of a job. Each kind has one subclass; ``kind`` is its name."""

    kind: str
    model: str | None
    usage: Usage | None

    def event_fields(self) -> dict[str, Any]:
        """Fields of this answer in the last event of the job's log, besides its usage."""
        return {}


class TextAnswer(Answer):
    """The answer to a conversation. For an incomplete, failed or cancelled job it holds the partial text."""

    text: str = Field(repr=False)
    finish_reason: str | None

    def event_fields(self) -> dict[str, Any]:
        return {"finish_reason": self.finish_reason}


@dataclass(frozen=True)
class JobKind:
    """One kind of job."""

    name: str
    request: type[JobRequest]
    answer: type[Answer]
    id_prefixes: tuple[str, ...] = ("job",)  # of its job ids: one for each endpoint that accepts this kind
    default_model: Literal["chat_model", "embedding_model"] | None = "chat_model"  # a setting; None: asks no model
    keeps_events_with_answer: bool = False  # the event log has data that the answer lacks, so both expire together

    @property
    def is_conversation(self) -> bool:
        return issubclass(self.request, Conversation)


def collect_texts(value: Any) -> Iterator[str]:
    """All text for the model in a part of a body in OpenAI's format."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for part in value:
            yield from collect_texts(part)
    elif isinstance(value, dict):
        for name in _TEXT_FIELDS:
            yield from collect_texts(value.get(name))
