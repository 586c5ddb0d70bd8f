"""The verbs of a document's record. Each may be sent again; the jobs that look after it are created by themselves."""

import json
from collections.abc import Mapping
from typing import Final, Literal, TypeAlias, cast

from jobs.documents import DocumentRecord, DocumentState, NewDocument, fields_of
from jobs.models import Progress
from jobs.results import JobError
from jobs.storage import keys
from jobs.storage.commands import Argument, Command, plain_command, script_command, text
from jobs.storage.transitions.encoding import milliseconds

_REMOVAL_SECONDS: Final = 60  # in which a removal has most often ended
_LATE_WRITE_SECONDS: Final = 3_600  # no ingest takes as long to commit, no upload to keep its file

StartResult: TypeAlias = Literal["started", "ready", "not_owner", "gone"]


def add(document: NewDocument) -> Command[str]:
    """Create the document, or find the one with the same content; answers its id."""
    names = [
        keys.document(document.document_id),
        keys.documents(document.tenant),
        keys.document_by_hash(document.tenant, document.sha256),
        keys.SEQ,
    ]
    args: list[Argument] = [document.document_id, *_pairs(fields_of(document))]
    return script_command("document_add", names, args, text)


def reassign(document_id: str, ended_job: str, new_job: str) -> Command[str | None]:
    """Let a new job ingest it in place of one that has ended in vain; answers whose it is now, None when it is gone."""
    return script_command(
        "document_reassign", [keys.document(document_id)], [ended_job, new_job], lambda reply: text(reply) or None
    )


def start(document_id: str, job_id: str) -> Command[StartResult]:
    """An attempt to ingest begins."""
    names = [keys.document(document_id), keys.job(job_id)]
    return script_command("document_start", names, [job_id], lambda reply: cast("StartResult", text(reply)))


def record_progress(document_id: str, job_id: str, done: int, pages: int) -> Command[bool]:
    """Of the document, and of its job."""
    progress = Progress(pages_done=done, pages=pages)
    return _update(document_id, job_id, {"pages_done": done, "pages": pages}, progress)


def mark_ready(
    document_id: str,
    job_id: str,
    *,
    pages: int,
    chunks: int,
    no_text: tuple[int, ...],
    damaged: tuple[int, ...],
    embedding_model: str,
) -> Command[bool]:
    fields: dict[str, Argument] = {
        "state": DocumentState.READY,
        "pages": pages,
        "pages_done": pages,
        "chunks": chunks,
        "no_text": json.dumps(no_text),
        "damaged": json.dumps(damaged),
        "embedding_model": embedding_model,
    }
    return _update(document_id, job_id, fields, Progress(pages_done=pages, pages=pages))


def mark_failed(document_id: str, job_id: str, error: JobError) -> Command[bool]:
    fields: dict[str, Argument] = {
        "state": DocumentState.FAILED,
        "error_code": error.code,
        "error_message": error.message,
    }
    return _update(document_id, job_id, fields)


def remove(record: DocumentRecord, ended_job: str, new_job: str) -> Command[str | None]:
    """Have no question find it any more; answers the job that is to remove what is left, None when it is gone.

    ``ended_job``: one that was to do so and has ended in vain; '' for none.
    """
    names = [keys.document(record.document_id), keys.document_by_hash(record.tenant, record.sha256), keys.TOMBSTONES]
    args: list[Argument] = [record.document_id, ended_job, new_job, milliseconds(_REMOVAL_SECONDS)]
    return script_command("document_remove", names, args, lambda reply: text(reply) or None)


def purge(record: DocumentRecord) -> Command[str]:
    """The last trace of a document whose file and chunks have been removed. Answers purged, live or gone."""
    names = [keys.document(record.document_id), keys.documents(record.tenant), keys.TOMBSTONES]
    args: list[Argument] = [record.document_id, milliseconds(_LATE_WRITE_SECONDS)]
    return script_command("document_purge", names, args, text)


def drop_tombstone(document_id: str) -> Command[None]:
    """Nothing is left of it, and nobody has to look any more."""
    return plain_command("ZREM", keys.TOMBSTONES, document_id, read=lambda _: None)


def _update(
    document_id: str, job_id: str, fields: Mapping[str, Argument], progress: Progress | None = None
) -> Command[bool]:
    """Answers False when the document is gone, or another job's. One that is ready stays as it is."""
    names = [keys.document(document_id), keys.job(job_id)]
    args: list[Argument] = [job_id, progress.to_string() if progress else "", *_pairs(fields)]
    return script_command("document_update", names, args, lambda reply: reply != b"gone")


def _pairs(fields: Mapping[str, Argument]) -> list[Argument]:
    return [argument for pair in fields.items() for argument in pair]
