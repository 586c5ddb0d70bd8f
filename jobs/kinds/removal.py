"""The removal of a deleted document's data: the request and its answer."""

from typing import Literal

from jobs.base import FrozenModel
from jobs.requests import DocumentId, JobOptions


class RemovalTask(JobOptions):
    """Remove what a deleted document has left: its chunks and its file."""

    kind: Literal["removal"]
    document_id: DocumentId
    filename: str
    model: None = None


class RemovalAnswer(FrozenModel):
    """A document's file and chunks are gone."""

    kind: Literal["removal"] = "removal"
    document_id: str
    model: None = None
    usage: None = None
