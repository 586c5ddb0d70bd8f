"""A question to documents: what it rests on is found before the provider is asked for the answer."""

import asyncio
import logging
from array import array
from collections.abc import Sequence
from typing import Final, Protocol

from documents.answering.citations import extract_citations
from documents.answering.prompting import build_prompt, not_in_documents_message
from documents.answering.search_query import SearchQuery, build_query, combine
from documents.answering.source_selection import select_sources
from documents.chunks.table import ChunkTable
from documents.errors import EmbeddingModelChanged
from documents.models import EmbeddingModel, SearchHit, Source
from jobs import queries, vectors
from jobs.kinds.chat import ChatTask
from jobs.kinds.embeddings import EmbeddingsAnswer, EmbeddingsTask
from jobs.results import Citation, Usage
from tasks.document_storage import translate_document_errors
from tasks.documents.eligibility import citable_document_ids, citable_filenames, count_ingesting, require_filenames
from tasks.leases import AttemptStopped, StopReason
from tasks.provider.formats.delta import Delta
from tasks.provider.timeouts import Timeouts
from tasks.runtime import Runtime

logger = logging.getLogger(__name__)
_MAX_NAMED: Final = 10  # documents in one message


class Embeds(Protocol):
    async def embed(self, request: EmbeddingsTask, timeouts: Timeouts) -> EmbeddingsAnswer: ...


async def find_sources(
    runtime: Runtime, job_id: str, request: ChatTask, provider: Embeds, timeouts: Timeouts
) -> tuple[Source, ...]:
    """The sources to answer from, the best first; none when the answer is not in the documents.

    Raises AttemptError: above all DocumentRejected, before any call, for a document that cannot be asked.
    """
    tenant = await _load_tenant(runtime, job_id)
    document_ids = None if request.documents in ("all", None) else tuple(request.documents or ())
    await require_filenames(runtime.store, document_ids or (), tenant)
    question = _build_question(request)
    vector = await _embed_question(runtime, question, provider, timeouts)
    found, names = await _search(runtime, question, vector, tenant, document_ids)
    settings = runtime.settings
    max_tokens, min_similarity = settings.document_context_tokens, settings.effective_min_similarity
    return select_sources(question.text, found, names, max_tokens, min_similarity, question.previous_text)


def with_sources(request: ChatTask, sources: Sequence[Source]) -> ChatTask:
    """The chat as the provider gets it."""
    prompt = build_prompt(request.message, sources, request.system)
    return request.model_copy(update={"message": prompt.message, "system": prompt.system, "documents": None})


async def not_found_delta(runtime: Runtime, job_id: str, request: ChatTask) -> Delta:
    """What is said without a model when no source fits. Who asked all documents hears of those not read yet."""
    unread = (
        await count_ingesting(runtime.store, await _load_tenant(runtime, job_id)) if request.documents == "all" else 0
    )
    no_usage = Usage(input_tokens=0, output_tokens=0, total_tokens=0)
    return Delta(text=not_in_documents_message(unread), finish_reason="stop", usage=no_usage)


async def citations(text: str, request: ChatTask, sources: Sequence[Source]) -> tuple[Citation, ...]:
    """In a thread: it takes CPU time. A fault in it costs the citations, never the answer, which has been paid for."""
    try:
        cited = await asyncio.to_thread(extract_citations, text, _build_question(request).text, sources)
    except Exception as error:  # noqa: BLE001
        logger.error("citations_failed error=%s", type(error).__name__)  # noqa: TRY400  # the traceback may quote the answer
        return ()
    return tuple(
        Citation(
            document_id=citation.document_id,
            filename=citation.filename,
            page=citation.page,
            quote=citation.quote,
            score=citation.score,
        )
        for citation in cited
    )


def _build_question(request: ChatTask) -> SearchQuery:
    return build_query(request.message, [turn.content for turn in request.history if turn.role == "user"])


async def _load_tenant(runtime: Runtime, job_id: str) -> str:
    job = await runtime.store.run(queries.record(job_id))
    if job is None:  # deleted, and its lease with it
        raise AttemptStopped(StopReason.LEASE_LOST)
    return job.tenant


async def _embed_question(
    runtime: Runtime, question: SearchQuery, provider: Embeds, timeouts: Timeouts
) -> "array[float]":
    model = runtime.settings.document_embedding_model
    request = EmbeddingsTask.model_construct(kind="embeddings", input=question.texts, model=model)
    answer = await provider.embed(request, timeouts)
    return combine([vectors.unpack(vector) for vector in answer.vectors])


async def _search(
    runtime: Runtime, question: SearchQuery, vector: "array[float]", tenant: str, document_ids: Sequence[str] | None
) -> tuple[list[SearchHit], dict[str, str]]:
    """What fits best, and the file's name of each document that may be cited.

    What is left of documents that may not be cited takes the places of others: then those that may are named.
    """
    model = EmbeddingModel(runtime.settings.document_embedding_model, len(vector))
    with translate_document_errors():
        table = await runtime.document_storage.chunks()
        await _check_embedding_model(runtime, table, model, tenant, document_ids)
        found = await table.search(question.search_text, vector.tobytes(), model, tenant, document_ids)
        names = await _load_filenames(runtime, found, tenant, document_ids)
        if any(hit.document_id not in names for hit in found):
            ready = await citable_document_ids(runtime.store, tenant)
            found = await table.search(question.search_text, vector.tobytes(), model, tenant, ready)
            names = await _load_filenames(runtime, found, tenant, None)
    return found, names


async def _load_filenames(
    runtime: Runtime, found: Sequence[SearchHit], tenant: str, document_ids: Sequence[str] | None
) -> dict[str, str]:
    """Raises DocumentRejected where one that was asked by its id has gone since: its answer is not "not there"."""
    if document_ids is not None:
        return await require_filenames(runtime.store, document_ids, tenant)
    return await citable_filenames(runtime.store, dict.fromkeys(hit.document_id for hit in found), tenant)


async def _check_embedding_model(
    runtime: Runtime, table: ChunkTable, model: EmbeddingModel, tenant: str, document_ids: Sequence[str] | None
) -> None:
    """Rather than answer as if documents that cannot be compared with the question did not exist."""
    model_by_document = await table.documents_of_other_models(model, tenant, document_ids)
    names = await citable_filenames(runtime.store, model_by_document, tenant)
    if names:
        raise EmbeddingModelChanged(
            f"the question comes with {model}, but some documents were kept with another model: "
            f"{_join_limited([f'{document_id} with {model_by_document[document_id]}' for document_id in names])}. "
            "Delete them and send them again"
        )


def _join_limited(texts: Sequence[str]) -> str:
    rest = len(texts) - _MAX_NAMED
    return ", ".join(texts[:_MAX_NAMED]) + (f" and {rest} more" if rest > 0 else "")
