"""The attempts that look after a document: ingest it, and remove what a deleted one has left.

Both may run any number of times, also at once, and end anywhere. An ingest works for a document only while that is in
its job's hands (jobs/documents.py), and has nothing to do for one that is ready. The chunks are committed all at once;
whoever has committed looks whether the document is still wanted, and clears away what nobody would find.
"""

import asyncio
import logging
import random
from collections.abc import Sequence
from contextlib import suppress

from documents.ingesting import IngestJob, IngestResult, ingest
from jobs import queries, vectors
from jobs.documents import DocumentRecord, DocumentState, DocumentView
from jobs.errors import AttemptError, DocumentRejected
from jobs.kinds.embeddings import EmbeddingsTask
from jobs.kinds.ingest import IngestAnswer, IngestTask
from jobs.kinds.removal import RemovalAnswer, RemovalTask
from jobs.models import Claim
from jobs.results import JobError, Usage
from jobs.storage import transitions
from jobs.storage.transitions.document import StartResult
from tasks.document_storage import document_deleted, translate_document_errors
from tasks.maintenance.document_cleanup import remove_document_data
from tasks.provider.errors import deadline_passed, protocol_error
from tasks.provider.timeouts import Timeouts
from tasks.retry import GiveUp, decide
from tasks.runtime import Runtime

logger = logging.getLogger(__name__)
_cleanup_tasks: set[asyncio.Task[None]] = set()  # the loop itself keeps no task alive


async def ingest_document(runtime: Runtime, claim: Claim, request: IngestTask) -> IngestAnswer:
    """Raises AttemptError. What of it can harm a process, reading, is done in one of its own: no quarantine."""
    record = await _live_record(runtime, request.document_id)
    started = await _take_over(runtime, record, claim.lease.job_id)
    if started == "not_owner":
        raise DocumentRejected("another task ingests the document", code="document_taken")
    usage = await _make_ready(runtime, claim, record) if started == "started" else None
    ready = await _live_record(runtime, request.document_id)
    return IngestAnswer(
        document_id=ready.document_id,
        pages=ready.pages or 0,
        chunks=ready.chunks or 0,
        pages_without_text=ready.no_text,
        damaged_pages=ready.damaged,
        model=ready.embedding_model,
        usage=usage,
    )


async def remove_document(runtime: Runtime, request: RemovalTask) -> RemovalAnswer:
    """Raises AttemptError."""
    await remove_document_data(runtime.store, runtime.document_storage, request.document_id)
    return RemovalAnswer(document_id=request.document_id)


async def mark_document_failed(runtime: Runtime, claim: Claim, error: JobError) -> None:
    """The document says why it cannot be asked, also when its job is forgotten."""
    if isinstance(claim.request, IngestTask):
        command = transitions.document.mark_failed(claim.request.document_id, claim.lease.job_id, error)
        await runtime.store.run(command)


async def _live_record(runtime: Runtime, document_id: str) -> DocumentRecord:
    record = await runtime.store.run(queries.document(document_id))
    if record is None or record.state is DocumentState.DELETING:
        raise document_deleted()
    return record


async def _take_over(runtime: Runtime, record: DocumentRecord, job_id: str) -> StartResult:
    """A task that was retried finds the document in another's hands, and takes it over when that has ended in vain."""
    run, document_id = runtime.store.run, record.document_id
    if record.job_id != job_id:
        view = DocumentView.of(record, await run(queries.record(record.job_id)))
        if view.is_orphaned:
            await run(transitions.document.reassign(document_id, record.job_id, job_id))
    return await run(transitions.document.start(document_id, job_id))


async def _make_ready(runtime: Runtime, claim: Claim, record: DocumentRecord) -> Usage | None:
    """Answers what its vectors have cost."""
    embedder = Embedder(runtime, claim)
    try:
        ingested = await _ingest(runtime, record, claim.lease.job_id, embedder)
    except asyncio.CancelledError:
        _remove_orphaned_chunks_later(runtime, record.document_id)  # the commit may have been under way
        raise
    if not await _mark_ready(runtime, claim.lease.job_id, record.document_id, ingested):
        await _remove_orphaned_chunks(runtime, record.document_id)
        raise document_deleted()
    return embedder.usage


async def _ingest(runtime: Runtime, record: DocumentRecord, job_id: str, embedder: "Embedder") -> IngestResult:
    async def record_progress(done: int, pages: int) -> None:
        if not await runtime.store.run(transitions.document.record_progress(record.document_id, job_id, done, pages)):
            raise document_deleted()

    with translate_document_errors():
        table = await runtime.document_storage.chunks()
        async with runtime.document_storage.local_copy(record.document_id) as path:
            ingest_job = IngestJob(
                record.document_id, record.tenant, path, record.kind, runtime.settings.document_embedding_model
            )
            return await ingest(ingest_job, runtime.document_storage.reader, table, embedder.embed, record_progress)


async def _mark_ready(runtime: Runtime, job_id: str, document_id: str, ingested: IngestResult) -> bool:
    command = transitions.document.mark_ready(
        document_id,
        job_id,
        pages=ingested.pages,
        chunks=ingested.chunks,
        no_text=ingested.pages_without_text,
        damaged=ingested.damaged_pages,
        embedding_model=ingested.model.name,
    )
    return await runtime.store.run(command)


def _remove_orphaned_chunks_later(runtime: Runtime, document_id: str) -> None:
    task = asyncio.ensure_future(_remove_orphaned_chunks(runtime, document_id))
    _cleanup_tasks.add(task)
    task.add_done_callback(_cleanup_tasks.discard)


async def _remove_orphaned_chunks(runtime: Runtime, document_id: str) -> None:
    """Remove the chunks of a document that nobody wants any more; one that another job has taken keeps them."""
    with suppress(Exception):  # the job that removes the document does the same
        record = await runtime.store.run(queries.document(document_id))
        if record is None or record.state is DocumentState.DELETING:
            await (await runtime.document_storage.chunks()).remove(document_id)


class Embedder:
    """Calls the provider for one attempt's batches, each with the timeouts and the retries that a job has.

    A document of a thousand pages is a hundred calls: one that fails must not cost the others.
    """

    def __init__(self, runtime: Runtime, claim: Claim) -> None:
        self._runtime = runtime
        self._claim = claim
        self._deadline = asyncio.get_running_loop().time() + claim.remaining_ms / 1000
        self._first_vector: str | None = None  # of all vectors, which the others must be like
        self.usage: Usage | None = None

    async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """Raises AttemptError."""
        failures = 0
        while True:
            try:
                return await self._embed_once(texts)
            except AttemptError as error:
                failures += 1
                wait_seconds = self._retry_wait_seconds(error, failures)
                logger.info("embedding_batch_retried job_id=%s code=%s", self._claim.lease.job_id, error.code)
            await asyncio.sleep(wait_seconds)

    async def _embed_once(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        settings = self._runtime.settings
        request = EmbeddingsTask.model_construct(
            kind="embeddings", input=tuple(texts), model=settings.document_embedding_model
        )
        timeouts = Timeouts.of(self._claim.request.limits, self._remaining_seconds, settings)
        answer = await self._runtime.provider.embed(request, timeouts)
        self.usage = _add_usage(self.usage, answer.usage)
        self._first_vector = self._first_vector or answer.vectors[0]
        if not vectors.have_same_length((self._first_vector, *answer.vectors)):
            raise protocol_error()
        return [vectors.unpack(vector) for vector in answer.vectors]

    @property
    def _remaining_seconds(self) -> float:
        remaining = self._deadline - asyncio.get_running_loop().time()
        if remaining <= 0:
            raise deadline_passed()
        return remaining

    def _retry_wait_seconds(self, error: AttemptError, failures: int) -> float:
        """Raises the error when the batch is not worth another call: then the attempt has failed with it."""
        decision = decide(
            error,
            failures,
            self._claim.max_attempts,
            self._remaining_seconds,
            self._runtime.settings,
            random.random(),  # noqa: S311  # spreads retries
        )
        if isinstance(decision, GiveUp):
            raise error
        return decision.wait_seconds


def _add_usage(total: Usage | None, increment: Usage | None) -> Usage | None:
    if total is None or increment is None:
        return total or increment
    return Usage(
        input_tokens=total.input_tokens + increment.input_tokens,
        output_tokens=total.output_tokens + increment.output_tokens,
        total_tokens=total.total_tokens + increment.total_tokens,
        estimated=total.estimated or increment.estimated,
    )
