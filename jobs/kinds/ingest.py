"""The ingest of an uploaded document."""

from typing import Final, Literal

from pydantic import Field

from jobs.kinds.base import Answer, DocumentRequest, JobKind


class IngestTask(DocumentRequest):
    """Read, chunk, embed and store a document. The settings choose its embedding model."""

    kind: Literal["ingest"]
    charset: str | None = None  # of a text, as its sender declares it


class IngestAnswer(Answer):
    """The result of an ingest: the document is ready."""

    kind: Literal["ingest"] = "ingest"
    document_id: str
    pages: int
    chunks: int
    pages_without_text: tuple[int, ...] = Field(
        description="Numbers of the pages without text, scanned ones for example."
    )
    damaged_pages: tuple[int, ...] = Field(description="Numbers of the pages that cannot be read.")
    garbled_pages: tuple[int, ...] = Field(
        default=(), description="Numbers of the pages whose fonts do not identify their characters."
    )
    ocr: dict[str, tuple[int, ...]] = Field(
        default={},
        description="Numbers of the pages that went through OCR or should have, by its outcome: `recognized`, "
        "`nothing_found`, `not_installed`, `language_missing`, `too_many_pages`, `timed_out`.",
    )
    model: str | None = Field(description="Model of the document's embeddings.")


KIND: Final = JobKind("ingest", IngestTask, IngestAnswer, default_model=None)
