"""The verbs of a document's record. Each may be sent again; the jobs that look after it are created by themselves."""

import json
from collections.abc import Mapping
from typing import Final, Literal, TypeAlias, cast

from jobs.documents import DocumentRecord, DocumentState, NewDocument, fields_of
from jobs.models import Progress
from jobs.results import JobError
from jobs.storage import keys
from jobs.storage.commands import Command, Word, plain_command, script_command, text
from jobs.storage.transitions.encoding import milliseconds

_REMOVAL_SECONDS: Final = 60  # in which a removal has most often ended
_LATECOMER_SECONDS: Final = 3_600  # no ingest takes as long to commit, no upload to keep its file

Taken: TypeAlias = Literal["taken", "ready", "another", "gone"]


def add(document: NewDocument) -> Command[str]:
    """Create the document, or find the one with the same content; answers its id."""
    names = [
        keys.document(document.document_id),
        keys.documents(document.tenant),
        keys.document_of(document.tenant, document.sha256),
        keys.SEQ,
    ]
    args: list[Word] = [document.document_id, *_pairs(fields_of(document))]
    return script_command("document_add", names, args, text)


def pass_on(document_id: str, ended_job: str, new_job: str) -> Command[str | None]:
    """Let a new job ingest it in place of one that has ended in vain; answers whose it is now, None when it is gone."""
    return script_command(
        "document_pass_on", [keys.document(document_id)], [ended_job, new_job], lambda reply: text(reply) or None
    )


def take(document_id: str, job_id: str) -> Command[Taken]:
    """An attempt to ingest begins."""
    names = [keys.document(document_id), keys.job(job_id)]
    return script_command("document_take", names, [job_id], lambda reply: cast("Taken", text(reply)))


def note_progress(document_id: str, job_id: str, done: int, pages: int) -> Command[bool]:
    """Of the document, and of its job."""
    progress = Progress(pages_done=done, pages=pages)
    return _note(document_id, job_id, {"pages_done": done, "pages": pages}, progress)


def note_ready(
    document_id: str,
    job_id: str,
    *,
    pages: int,
    chunks: int,
    no_text: tuple[int, ...],
    damaged: tuple[int, ...],
    embedding_model: str,
) -> Command[bool]:
    fields: dict[str, Word] = {
        "state": DocumentState.READY,
        "pages": pages,
        "pages_done": pages,
        "chunks": chunks,
        "no_text": json.dumps(no_text),
        "damaged": json.dumps(damaged),
        "embedding_model": embedding_model,
    }
    return _note(document_id, job_id, fields, Progress(pages_done=pages, pages=pages))


def note_failed(document_id: str, job_id: str, error: JobError) -> Command[bool]:
    fields: dict[str, Word] = {
        "state": DocumentState.FAILED,
        "error_code": error.code,
        "error_message": error.message,
    }
    return _note(document_id, job_id, fields)


def remove(record: DocumentRecord, ended_job: str, new_job: str) -> Command[str | None]:
    """Have no question find it any more; answers the job that is to remove what is left, None when it is gone.

    ``ended_job``: one that was to do so and has ended in vain; '' for none.
    """
    names = [keys.document(record.document_id), keys.document_of(record.tenant, record.sha256), keys.LEFTOVERS]
    args: list[Word] = [record.document_id, ended_job, new_job, milliseconds(_REMOVAL_SECONDS)]
    return script_command("document_remove", names, args, lambda reply: text(reply) or None)


def forget(record: DocumentRecord) -> Command[str]:
    """The last trace of a document whose file and chunks have been removed. Answers forgotten, wanted or gone."""
    names = [keys.document(record.document_id), keys.documents(record.tenant), keys.LEFTOVERS]
    args: list[Word] = [record.document_id, milliseconds(_LATECOMER_SECONDS)]
    return script_command("document_forget", names, args, text)


def cleared(document_id: str) -> Command[None]:
    """Nothing is left of it, and nobody has to look any more."""
    return plain_command("ZREM", keys.LEFTOVERS, document_id, read=lambda _: None)


def _note(document_id: str, job_id: str, fields: Mapping[str, Word], progress: Progress | None = None) -> Command[bool]:
    """Answers False when the document is gone, or another job's. One that is ready stays as it is."""
    names = [keys.document(document_id), keys.job(job_id)]
    args: list[Word] = [job_id, progress.as_word() if progress else "", *_pairs(fields)]
    return script_command("document_note", names, args, lambda reply: reply != b"gone")


def _pairs(fields: Mapping[str, Word]) -> list[Word]:
    return [word for pair in fields.items() for word in pair]
