"""The removal of a deleted document's data."""

from typing import Final, Literal

from jobs.kinds.base import Answer, DocumentRequest, JobKind


class RemovalTask(DocumentRequest):
    """Remove the chunks and the file of a deleted document."""

    kind: Literal["removal"]


class RemovalAnswer(Answer):
    """The result of a removal: the document's file and chunks no longer exist."""

    kind: Literal["removal"] = "removal"
    document_id: str
    model: None = None
    usage: None = None


KIND: Final = JobKind("removal", RemovalTask, RemovalAnswer, default_model=None)
