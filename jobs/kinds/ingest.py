"""The ingest of an uploaded document: the request and its answer."""

from typing import Literal

from pydantic import Field

from jobs.base import FrozenModel
from jobs.requests import DocumentId, JobOptions
from jobs.results import Usage


class IngestTask(JobOptions):
    """Read, cut, embed and keep a document. Its model is that of the settings."""

    kind: Literal["ingest"]
    document_id: DocumentId
    filename: str
    model: None = None


class IngestAnswer(FrozenModel):
    """What has come of a document; it can be asked."""

    kind: Literal["ingest"] = "ingest"
    document_id: str
    pages: int
    chunks: int
    pages_without_text: tuple[int, ...] = Field(description="Scanned pages above all.")
    damaged_pages: tuple[int, ...]
    model: str | None = Field(description="Of its embeddings.")
    usage: Usage | None
