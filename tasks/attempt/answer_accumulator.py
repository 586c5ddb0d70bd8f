"""What has come of an attempt's work so far, and the answer that it makes."""

from dataclasses import dataclass, field
from typing import Any

from documents.models import Source
from jobs.requests import ChatTask, CompletionTask, JobRequest, ResponseTask
from jobs.results import ChatAnswer, CompletionAnswer, EmbeddingsAnswer, IngestAnswer, RemovalAnswer, ResponseAnswer
from tasks.attempt.event_writer import EventWriter
from tasks.documents.answer import citations
from tasks.provider.formats.delta import Piece
from tasks.provider.formats.response_accumulator import text_in


@dataclass
class Received:
    """For most kinds of job: what the provider has said."""

    request: JobRequest
    writer: EventWriter
    finish_reason: str | None = None
    model: str | None = None
    body: dict[str, Any] | None = field(default=None, repr=False)
    whole: EmbeddingsAnswer | IngestAnswer | RemovalAnswer | None = None  # an answer that does not come in pieces
    sources: tuple[Source, ...] = ()

    def add(self, piece: Piece) -> None:
        self.writer.add(piece)
        self.body = piece.body or self.body
        self.finish_reason = piece.finish_reason or self.finish_reason
        self.model = piece.model or self.model

    @property
    def _text(self) -> str:
        """Some providers tell a response's text in its last event alone."""
        if self.writer.text or self.body is None or not isinstance(self.request, ResponseTask):
            return self.writer.text
        return text_in(self.body["output"])

    async def text_answer(self) -> ChatAnswer | CompletionAnswer | ResponseAnswer:
        said = {
            "text": self._text,
            "model": self.model,
            "finish_reason": self.finish_reason,
            "usage": self.writer.usage,
        }
        match self.request:
            case CompletionTask():
                return CompletionAnswer(**said, body=self.body)
            case ResponseTask():
                return ResponseAnswer(**said, body=self.body)
            case ChatTask(documents=documents) as request if documents is not None:
                return ChatAnswer(**said, citations=await citations(self.writer.text, request, self.sources))
        return ChatAnswer(**said)
