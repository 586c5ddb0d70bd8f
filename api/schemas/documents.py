"""The responses of the document endpoints, built from records."""

from datetime import datetime
from typing import Final, Literal, Self, get_args

from pydantic import Field

from api.schemas.responses import utc
from api.schemas.tasks import Task, unreadable_fields
from documents.file_type import parse_file_type
from documents.models import FileType, OcrOutcome, PageDefect
from jobs.base import FrozenModel
from jobs.document_lookup import DocumentPage
from jobs.documents import DocumentRecord, DocumentState, DocumentView
from jobs.results import JobError

_MAX_PROBLEMS: Final = 100  # shown per document; a scanned book has one per page


class PageProblem(FrozenModel):
    """A page whose content chats cannot use."""

    page: int = Field(description="Page number, from 1.")
    problem: PageDefect = Field(
        description="`no_text`: the page is empty, or an image such as a scan. `damaged`: the page cannot be read. "
        "`garbled`: the page's fonts do not identify their characters."
    )


class Document(FrozenModel):
    """A document. Chats can use it once its status is `ready`."""

    document_id: str
    filename: str
    kind: FileType | Literal["unknown"] = Field(
        description="The file type; `unknown` for one that this server does not know."
    )
    status: DocumentState | Literal["unknown"]
    unreadable: dict[str, str | None] = Field(
        default={},
        description="Stored fields of the document that this server cannot read, because another version of the server "
        "wrote them or they are damaged: `status` with its text, others with null. Usually empty. Such a document can "
        "be deleted.",
    )
    size: int = Field(description="Size of the file in bytes.")
    created_at: datetime = Field(description="Time of the upload (UTC).")
    task_id: str = Field(description="Id of the latest task that ingests or removes the document.")
    pages: int | None = Field(description="Number of pages; null until the first pages have been read.")
    pages_done: int = Field(description="Number of pages read and embedded so far.")
    chunks: int | None = Field(description="Number of chunks the text was divided into; null until known.")
    embedding_model: str | None = Field(description="The model of the embeddings; null until known.")
    page_problems: tuple[PageProblem, ...] = Field(
        description=f"The first {_MAX_PROBLEMS} pages with a problem. The result of the ingest task lists all of them."
    )
    problem_pages: int = Field(description="Total number of pages with a problem.")
    attachments: int = Field(
        default=0, description="Number of files that are attached to the PDF. Their content is not read."
    )
    ocr: dict[OcrOutcome, int] = Field(
        default={},
        description="Number of pages that went through OCR or should have, by its outcome. `recognized`: their text "
        "was recognized. `nothing_found`: they show no text. `not_installed`, `language_missing`: Tesseract, or the "
        "data of a language, is not installed where the worker runs. `too_many_pages`, `timed_out`: a limit was "
        "reached. Empty if no page needed OCR, or OCR is off.",
    )
    error: JobError | None = Field(
        description="Why the document failed, or is not yet removed. Upload a failed document again to retry."
    )

    @classmethod
    def of(cls, view: DocumentView) -> Self:
        record = view.record
        return cls(
            document_id=record.document_id,
            filename=record.filename,
            kind=parse_file_type(record.kind) if record.kind in get_args(FileType) else "unknown",
            status="unknown" if view.state is None else view.state,
            unreadable=unreadable_fields(record.unreadable),
            size=record.size,
            created_at=utc(record.created_at_ms),
            task_id=record.job_id,
            pages=record.pages,
            pages_done=record.pages_done,
            chunks=record.chunks,
            embedding_model=record.embedding_model,
            page_problems=_problems(record),
            problem_pages=sum(map(len, _defects(record).values())),
            attachments=record.attachments,
            ocr={outcome: len(pages) for outcome, pages in record.ocr.items() if outcome in get_args(OcrOutcome)},
            error=view.error,
        )


class AcceptedDocument(FrozenModel):
    """An uploaded document and the task that ingests it."""

    document: Document = Field(description="The document.")
    task: Task | None = Field(description="The task that ingests the document; null if it has expired.")


class DocumentList(FrozenModel):
    """A page of documents."""

    documents: tuple[Document, ...] = Field(description="The documents, newest first.")
    next_cursor: str | None

    @classmethod
    def of_page(cls, page: DocumentPage) -> Self:
        return cls(documents=tuple(map(Document.of, page.views)), next_cursor=page.next_cursor)


def _problems(record: DocumentRecord) -> tuple[PageProblem, ...]:
    problems = [PageProblem(page=page, problem=defect) for defect, pages in _defects(record).items() for page in pages]
    return tuple(sorted(problems, key=lambda problem: problem.page)[:_MAX_PROBLEMS])


def _defects(record: DocumentRecord) -> dict[PageDefect, tuple[int, ...]]:
    return {"no_text": record.no_text, "damaged": record.damaged, "garbled": record.garbled}
