"""What the documents' endpoints answer, built from records."""

from datetime import datetime
from typing import Final, Literal, Self

from pydantic import Field

from api.schemas.responses import Task, utc
from documents.file_type import parse_file_type
from documents.models import FileType
from jobs.base import FrozenModel
from jobs.document_lookup import DocumentPage
from jobs.documents import DocumentRecord, DocumentState, DocumentView
from jobs.results import JobError

_MAX_PROBLEMS: Final = 100  # told of one document: of a scanned book each page is one


class PageProblem(FrozenModel):
    """A page that no question will find."""

    page: int
    problem: Literal["no_text", "damaged"] = Field(description="`no_text`: scanned, or empty.")


class Document(FrozenModel):
    """A document. It can be asked once it is `ready`."""

    document_id: str
    filename: str
    kind: FileType
    status: DocumentState
    size: int = Field(description="Bytes.")
    created_at: datetime
    task_id: str = Field(description="The task that ingests it, or removes it, or did so last.")
    pages: int | None = Field(description="Null until the first of them have been read.")
    pages_done: int = Field(description="Read and embedded; all of them once it is ready.")
    chunks: int | None
    embedding_model: str | None
    page_problems: tuple[PageProblem, ...] = Field(
        description=f"The first {_MAX_PROBLEMS}; the result of the task that ingested it names all of these pages."
    )
    problem_pages: int = Field(description="Pages with a problem, in all.")
    error: JobError | None = Field(
        description="Why it failed; uploaded again, it is tried again. While `deleting`: why it is still there."
    )

    @classmethod
    def of(cls, view: DocumentView) -> Self:
        record = view.record
        return cls(
            document_id=record.document_id,
            filename=record.filename,
            kind=parse_file_type(record.kind),
            status=view.state,
            size=record.size,
            created_at=utc(record.created_at_ms),
            task_id=record.job_id,
            pages=record.pages,
            pages_done=record.pages_done,
            chunks=record.chunks,
            embedding_model=record.embedding_model,
            page_problems=_problems(record),
            problem_pages=len(record.no_text) + len(record.damaged),
            error=view.error,
        )


class AcceptedDocument(FrozenModel):
    """A document and the task that ingests it."""

    document: Document
    task: Task | None = Field(description="Null when it was done long ago and is forgotten.")


class DocumentList(FrozenModel):
    documents: tuple[Document, ...]
    next_cursor: str | None = Field(description="For the next page; null on the last one.")

    @classmethod
    def of_page(cls, page: DocumentPage) -> Self:
        return cls(documents=tuple(map(Document.of, page.views)), next_cursor=page.next_cursor)


def _problems(record: DocumentRecord) -> tuple[PageProblem, ...]:
    problems = [PageProblem(page=page, problem="no_text") for page in record.no_text]
    problems += [PageProblem(page=page, problem="damaged") for page in record.damaged]
    return tuple(sorted(problems, key=lambda problem: problem.page)[:_MAX_PROBLEMS])
