"""What has come of an attempt's work so far, and the answer that it makes."""

from dataclasses import dataclass, field
from typing import Any

from documents.models import Source
from jobs.kinds.base import JobRequest
from jobs.kinds.chat import ChatAnswer, ChatTask
from jobs.kinds.completion import CompletionAnswer, CompletionTask
from jobs.kinds.embeddings import EmbeddingsAnswer
from jobs.kinds.ingest import IngestAnswer
from jobs.kinds.removal import RemovalAnswer
from jobs.kinds.response import ResponseAnswer, ResponseTask
from tasks.attempt.event_writer import EventWriter
from tasks.documents.answer import citations
from tasks.provider.formats.delta import Delta
from tasks.provider.formats.response_accumulator import output_text_of


@dataclass
class AnswerAccumulator:
    """For most kinds of job: what the provider has sent."""

    request: JobRequest
    writer: EventWriter
    finish_reason: str | None = None
    model: str | None = None
    body: dict[str, Any] | None = field(default=None, repr=False)
    full_answer: EmbeddingsAnswer | IngestAnswer | RemovalAnswer | None = None  # an answer that does not come in deltas
    sources: tuple[Source, ...] = ()

    def add(self, delta: Delta) -> None:
        self.writer.add(delta)
        self.body = delta.body or self.body
        self.finish_reason = delta.finish_reason or self.finish_reason
        self.model = delta.model or self.model

    @property
    def _text(self) -> str:
        """Some providers tell a response's text in its last event alone."""
        if self.writer.text or self.body is None or not isinstance(self.request, ResponseTask):
            return self.writer.text
        return output_text_of(self.body["output"])

    async def build_answer(self) -> ChatAnswer | CompletionAnswer | ResponseAnswer:
        fields = {
            "text": self._text,
            "model": self.model,
            "finish_reason": self.finish_reason,
            "usage": self.writer.usage,
        }
        match self.request:
            case CompletionTask():
                return CompletionAnswer(**fields, body=self.body)
            case ResponseTask():
                return ResponseAnswer(**fields, body=self.body)
            case ChatTask(documents=documents) as request if documents is not None:
                return ChatAnswer(**fields, citations=await citations(self.writer.text, request, self.sources))
        return ChatAnswer(**fields)
