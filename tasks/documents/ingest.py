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

from documents.ingesting import Ingested, Order, ingest
from jobs import document_lookup, queries, vectors
from jobs.documents import DocumentRecord, DocumentState, DocumentView
from jobs.errors import AttemptError, DocumentRejected
from jobs.models import Claim
from jobs.requests import EmbeddingsTask, IngestTask, RemovalTask
from jobs.results import IngestAnswer, JobError, RemovalAnswer, Usage
from jobs.storage import transitions
from jobs.storage.transitions.document import Taken
from tasks.document_storage import deleted, document_errors
from tasks.maintenance.document_cleanup import remove_rest
from tasks.provider.errors import broken, deadline_passed
from tasks.provider.timeouts import Patience
from tasks.retry import GiveUp, decide
from tasks.runtime import Runtime

logger = logging.getLogger(__name__)
_clearing: set[asyncio.Task[None]] = set()  # the loop itself keeps no task alive


async def ingest_document(runtime: Runtime, claim: Claim, request: IngestTask) -> IngestAnswer:
    """Raises AttemptError. What of it can harm a process, reading, is done in one of its own: no quarantine."""
    record = await _wanted(runtime, request.document_id)
    taken = await _take(runtime, record, claim.lease.job_id)
    if taken == "another":
        raise DocumentRejected("another task ingests the document", code="document_taken")
    usage = await _make_ready(runtime, claim, record) if taken == "taken" else None
    ready = await _wanted(runtime, request.document_id)
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
    await remove_rest(runtime.store, runtime.library, request.document_id)
    return RemovalAnswer(document_id=request.document_id)


async def note_failure(runtime: Runtime, claim: Claim, error: JobError) -> None:
    """The document says why it cannot be asked, also when its job is forgotten."""
    if isinstance(claim.request, IngestTask):
        command = transitions.document.note_failed(claim.request.document_id, claim.lease.job_id, error)
        await runtime.store.run(command)


async def _wanted(runtime: Runtime, document_id: str) -> DocumentRecord:
    record = await runtime.store.run(document_lookup.record(document_id))
    if record is None or record.state is DocumentState.DELETING:
        raise deleted()
    return record


async def _take(runtime: Runtime, record: DocumentRecord, job_id: str) -> Taken:
    """A task that was retried finds the document in another's hands, and takes it over when that has ended in vain."""
    run, document_id = runtime.store.run, record.document_id
    if record.job_id != job_id:
        view = DocumentView.of(record, await run(queries.record(record.job_id)))
        if view.is_in_vain:
            await run(transitions.document.pass_on(document_id, record.job_id, job_id))
    return await run(transitions.document.take(document_id, job_id))


async def _make_ready(runtime: Runtime, claim: Claim, record: DocumentRecord) -> Usage | None:
    """Answers what its vectors have cost."""
    embedder = Embedder(runtime, claim)
    try:
        ingested = await _ingest(runtime, record, claim.lease.job_id, embedder)
    except asyncio.CancelledError:
        _clear_later(runtime, record.document_id)  # the commit may have been under way
        raise
    if not await _note_ready(runtime, claim.lease.job_id, record.document_id, ingested):
        await _clear(runtime, record.document_id)
        raise deleted()
    return embedder.usage


async def _ingest(runtime: Runtime, record: DocumentRecord, job_id: str, embedder: "Embedder") -> Ingested:
    async def note(done: int, pages: int) -> None:
        if not await runtime.store.run(transitions.document.note_progress(record.document_id, job_id, done, pages)):
            raise deleted()

    with document_errors():
        table = await runtime.library.chunks()
        async with runtime.library.local_copy(record.document_id) as path:
            order = Order(record.document_id, record.tenant, path, record.kind, runtime.settings.document_model)
            return await ingest(order, runtime.library.reader, table, embedder.embed, note)


async def _note_ready(runtime: Runtime, job_id: str, document_id: str, ingested: Ingested) -> bool:
    command = transitions.document.note_ready(
        document_id,
        job_id,
        pages=ingested.pages,
        chunks=ingested.chunks,
        no_text=ingested.pages_without_text,
        damaged=ingested.damaged_pages,
        embedding_model=ingested.model.name,
    )
    return await runtime.store.run(command)


def _clear_later(runtime: Runtime, document_id: str) -> None:
    task = asyncio.ensure_future(_clear(runtime, document_id))
    _clearing.add(task)
    task.add_done_callback(_clearing.discard)


async def _clear(runtime: Runtime, document_id: str) -> None:
    """Remove the chunks of a document that nobody wants any more; one that another job has taken keeps them."""
    with suppress(Exception):  # the job that removes the document does the same
        record = await runtime.store.run(document_lookup.record(document_id))
        if record is None or record.state is DocumentState.DELETING:
            await (await runtime.library.chunks()).remove(document_id)


class Embedder:
    """Calls the provider for one attempt's batches, each with the patience and the retries that a job has.

    A document of a thousand pages is a hundred calls: one that fails must not cost the others.
    """

    def __init__(self, runtime: Runtime, claim: Claim) -> None:
        self._runtime = runtime
        self._claim = claim
        self._ends_at = asyncio.get_running_loop().time() + claim.remaining_ms / 1000
        self._first: str | None = None  # of all vectors, which the others must be like
        self.usage: Usage | None = None

    async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """Raises AttemptError."""
        failures = 0
        while True:
            try:
                return await self._call(texts)
            except AttemptError as error:
                failures += 1
                wait_seconds = self._wait_after(error, failures)
                logger.info("batch_waits job_id=%s code=%s", self._claim.lease.job_id, error.code)
            await asyncio.sleep(wait_seconds)

    async def _call(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        settings = self._runtime.settings
        request = EmbeddingsTask.model_construct(kind="embeddings", input=tuple(texts), model=settings.document_model)
        patience = Patience.of(self._claim.request.limits, self._remaining_seconds, settings)
        answer = await self._runtime.provider.embed(request, patience)
        self.usage = _added(self.usage, answer.usage)
        self._first = self._first or answer.vectors[0]
        if not vectors.are_alike((self._first, *answer.vectors)):
            raise broken()
        return [vectors.unpack(vector) for vector in answer.vectors]

    @property
    def _remaining_seconds(self) -> float:
        remaining = self._ends_at - asyncio.get_running_loop().time()
        if remaining <= 0:
            raise deadline_passed()
        return remaining

    def _wait_after(self, error: AttemptError, failures: int) -> float:
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


def _added(sum_so_far: Usage | None, more: Usage | None) -> Usage | None:
    if sum_so_far is None or more is None:
        return sum_so_far or more
    return Usage(
        input_tokens=sum_so_far.input_tokens + more.input_tokens,
        output_tokens=sum_so_far.output_tokens + more.output_tokens,
        total_tokens=sum_so_far.total_tokens + more.total_tokens,
        estimated=sum_so_far.estimated or more.estimated,
    )
