"""The removal of a deleted document's data."""

from typing import Final, Literal

from jobs.kinds.base import Answer, JobKind, JobRequest
from jobs.requests import DocumentId


class RemovalTask(JobRequest):
    """Remove the chunks and the file of a deleted document."""

    kind: Literal["removal"]
    document_id: DocumentId
    filename: str
    model: None = None

    @property
    def preview_text(self) -> str:
        return self.filename


class RemovalAnswer(Answer):
    """The result of a removal: the document's file and chunks no longer exist."""

    kind: Literal["removal"] = "removal"
    document_id: str
    model: None = None
    usage: None = None


KIND: Final = JobKind("removal", RemovalTask, RemovalAnswer)
