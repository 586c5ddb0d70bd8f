"""The ingest of a document: read, chunk, embed and store it.

May run any number of times, also concurrently, and may end at any point. Only the job that owns a document ingests it
(jobs/documents.py), and a ready document needs no work. The chunks are committed in one step. After the commit the job
checks whether the document still exists, and otherwise removes the chunks, which no search would find.
"""

import asyncio
from contextlib import suppress
from functools import partial

from documents.file_type import parse_file_type
from documents.ingesting import IngestJob, IngestResult, ingest
from documents.memory import give_back_free_memory
from jobs import queries
from jobs.documents import DocumentRecord, DocumentState, DocumentView
from jobs.errors import DocumentRejected
from jobs.kinds.ingest import IngestAnswer, IngestTask
from jobs.results import JobError, Usage
from jobs.storage import transitions
from jobs.storage.transitions.document import StartResult
from tasks.document_storage import document_deleted, translate_document_errors
from tasks.documents.embedder import Embedder
from tasks.documents.services import DocumentServices
from tasks.handlers.base import AttemptContext

_cleanup_tasks: set[asyncio.Task[None]] = set()  # the event loop itself holds only weak references to tasks


async def run(context: AttemptContext[IngestTask]) -> IngestAnswer:
    """Raises AttemptError. Needs no quarantine: reading, the dangerous part, runs in a separate process."""
    services = context.documents
    record = await _live_record(services, context.request.document_id)
    started = await _take_ownership(services, record, context.job_id)
    if started == "not_owner":
        raise DocumentRejected("another task ingests the document", code="document_taken")
    usage = await _make_ready(context, record) if started == "started" else None
    ready = await _live_record(services, context.request.document_id)
    return IngestAnswer(
        document_id=ready.document_id,
        pages=ready.pages or 0,
        chunks=ready.chunks or 0,
        pages_without_text=ready.no_text,
        damaged_pages=ready.damaged,
        garbled_pages=ready.garbled,
        ocr=ready.ocr,
        model=ready.embedding_model,
        usage=usage,
    )


async def on_failed(context: AttemptContext[IngestTask], error: JobError) -> None:
    """Write the error into the document's record, which outlives the job's."""
    command = transitions.document.mark_failed(context.request.document_id, context.job_id, error)
    await context.documents.store.run(command)


async def _live_record(services: DocumentServices, document_id: str) -> DocumentRecord:
    record = await services.store.run(queries.document(document_id))
    if record is None or record.state is DocumentState.DELETING:
        raise document_deleted()
    return record


async def _take_ownership(services: DocumentServices, record: DocumentRecord, job_id: str) -> StartResult:
    """Start the ingest. A retried job takes over the document if its owner job has ended without making it ready."""
    send, document_id = services.store.run, record.document_id
    if record.job_id != job_id:
        job, now_ms = await send(queries.record(record.job_id)), await send(queries.server_time_ms())
        view = DocumentView.of(record, job, now_ms)
        if view.is_orphaned:
            await send(transitions.document.reassign(document_id, record.job_id, job_id))
    return await send(transitions.document.start(document_id, job_id))


async def _make_ready(context: AttemptContext[IngestTask], record: DocumentRecord) -> Usage | None:
    """Ingest the document and mark it ready. Returns the tokens used by its embeddings."""
    embedder = Embedder(context.documents, context.claim)
    try:
        result = await _ingest(context, record, embedder)
    except asyncio.CancelledError:
        _remove_orphaned_chunks_later(context.documents, record.document_id)  # a commit may have been in progress
        raise
    if not await _mark_ready(context, record.document_id, result):
        await _remove_orphaned_chunks(context.documents, record.document_id)
        raise document_deleted()
    return embedder.usage


async def _ingest(context: AttemptContext[IngestTask], record: DocumentRecord, embedder: Embedder) -> IngestResult:
    services, document_id = context.documents, record.document_id

    async def record_progress(done: int, pages: int) -> None:
        command = transitions.document.record_progress(document_id, context.job_id, done, pages)
        if not await services.store.run(command):
            raise document_deleted()

    with translate_document_errors():
        table = await services.storage.chunks()
        async with services.storage.local_copy(document_id) as path:
            file_type, model = parse_file_type(record.kind), services.settings.document_embedding_model
            charset = context.request.charset
            recognized = await services.storage.recognized(document_id)
            ingest_job = IngestJob(document_id, record.tenant, path, file_type, charset, model, recognized)
            keep = partial(services.storage.save_recognized, document_id)
            try:
                return await ingest(ingest_job, services.storage.reader, table, embedder.embed, record_progress, keep)
            finally:
                await asyncio.to_thread(give_back_free_memory)


async def _mark_ready(context: AttemptContext[IngestTask], document_id: str, result: IngestResult) -> bool:
    """False when the document was deleted or has another owner."""
    command = transitions.document.mark_ready(
        document_id,
        context.job_id,
        pages=result.pages,
        chunks=result.chunks,
        no_text=result.pages_without_text,
        damaged=result.damaged_pages,
        garbled=result.garbled_pages,
        page_labels=result.page_labels,
        attachments=result.attachments,
        ocr=result.ocr,
        embedding_model=result.model.name,
    )
    return await context.documents.store.run(command)


def _remove_orphaned_chunks_later(services: DocumentServices, document_id: str) -> None:
    task = asyncio.ensure_future(_remove_orphaned_chunks(services, document_id))
    _cleanup_tasks.add(task)
    task.add_done_callback(_cleanup_tasks.discard)


async def _remove_orphaned_chunks(services: DocumentServices, document_id: str) -> None:
    """Remove the chunks of a deleted document. A document that another job has taken over keeps them."""
    with suppress(Exception):  # the job that removes the document removes them too
        record = await services.store.run(queries.document(document_id))
        if record is None or record.state is DocumentState.DELETING:
            await (await services.storage.chunks()).remove(document_id)
