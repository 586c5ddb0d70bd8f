"""Answers from documents: finds the sources before the call to the provider, and the citations after it."""

import asyncio
import logging
from array import array
from collections.abc import Sequence
from typing import Final

from documents.answering.citations import extract_citations
from documents.answering.prompting import build_overview_prompt, build_prompt
from documents.answering.refusals import not_in_documents_message
from documents.answering.requests import (
    asks_for_brief_answer,
    asks_for_summary,
    asks_for_whole_document,
    requested_pages,
)
from documents.answering.search_query import SearchQuery, build_query, combine
from documents.answering.similarity import PROBES, measure_min_similarity
from documents.answering.source_selection import neighbours_over_page_ends, select_sources, with_broken_sentences
from documents.answering.summaries import SectionSummary, format_sections
from documents.chunks.table import ChunkTable
from documents.errors import EmbeddingModelChanged
from documents.models import EmbeddingModel, SearchHit, Source
from jobs import queries, vector_encoding
from jobs.errors import DocumentRejected
from jobs.kinds.chat import ChatTask
from jobs.kinds.embeddings import EmbeddingsTask
from jobs.results import AnswerSource, Citation, Usage
from jobs.storage import transitions
from jobs.tenant import Tenant
from tasks.document_storage import translate_document_errors
from tasks.documents.eligibility import (
    citable_document_ids,
    citable_filenames,
    count_ingesting,
    require_filenames,
    tagged_document_ids,
)
from tasks.documents.services import DocumentServices
from tasks.documents.whole_documents import LongDocuments, WholeRequest, find_whole_sources
from tasks.heartbeat import AttemptStopped, StopReason
from tasks.provider.formats.delta import Delta
from tasks.provider.providers import ModelCalls
from tasks.provider.timeouts import Timeouts

logger = logging.getLogger(__name__)
_MAX_NAMED: Final = 10  # documents in one message


async def find_sources(
    services: DocumentServices,
    job_id: str,
    request: ChatTask,
    provider: ModelCalls,
    timeouts: Timeouts,
    own_target: str = "",
) -> tuple[Source, ...] | LongDocuments:
    """The sources to answer from, the best first; empty when the documents do not answer the question.

    Documents that the caller chose always have sources: if no chunk matches, or if the request is about pages or whole
    documents, these are pages in order. For a summary of documents that are too long for a prompt: their sections.
    `own_target`: where the job's own call is counted.

    Raises AttemptError. A document that cannot be asked raises DocumentRejected before any call to the provider.
    """
    tenant = await _load_tenant(services, job_id)
    document_ids = await _chosen_ids(services, request, tenant)
    await require_filenames(services.store, document_ids or (), tenant)
    question = _build_question(request)
    vector, min_similarity = await _embed_question(services, question, provider, timeouts, own_target)
    found, names = await _search(services, question, vector, tenant, document_ids)
    settings = services.settings
    max_tokens = settings.document_context_tokens
    sources = select_sources(
        question.text, found, names, max_tokens, min_similarity, question.previous_text, question.questions
    )
    model = EmbeddingModel(settings.document_embedding_model, len(vector))
    pages = requested_pages(question.text)
    if document_ids is None or (sources and not pages and not asks_for_whole_document(question.text)):
        return await _complete_sentences(services, sources, model, tenant)
    whole_request = WholeRequest(model, tenant, names, pages, asks_for_summary(question.text))
    with translate_document_errors():
        table = await services.storage.chunks()
        whole = await find_whole_sources(table, whole_request, settings.document_whole_tokens)
    return whole or sources


async def _complete_sentences(
    services: DocumentServices, sources: Sequence[Source], model: EmbeddingModel, tenant: str
) -> tuple[Source, ...]:
    """The sources, with the other halves of sentences that run over the end of a page."""
    wanted = neighbours_over_page_ends(sources)
    if not wanted:
        return tuple(sources)
    with translate_document_errors():
        neighbours = await (await services.storage.chunks()).read(model, tenant, wanted)
    return with_broken_sentences(sources, neighbours, services.settings.document_context_tokens)


def with_sources(request: ChatTask, sources: Sequence[Source]) -> ChatTask:
    """The request that is sent to the provider, with the sources in its prompt."""
    prompt = build_prompt(request.message, sources, request.system)
    return request.model_copy(
        update={"message": prompt.message, "system": prompt.system, "documents": None, "document_tags": ()}
    )


def with_summaries(request: ChatTask, summaries: Sequence[SectionSummary]) -> ChatTask:
    """The request that is sent to the provider, with the summaries of all sections in its prompt."""
    prompt = build_overview_prompt(request.message, [summary.part for summary in summaries], request.system)
    return request.model_copy(
        update={"message": prompt.message, "system": prompt.system, "documents": None, "document_tags": ()}
    )


def appended_sections(request: ChatTask, summaries: Sequence[SectionSummary]) -> str:
    """What follows the overview: the summaries of the sections, unless the caller wants a short answer."""
    is_short = request.max_output_tokens is not None or asks_for_brief_answer(request.message)
    return "" if is_short else format_sections(summaries)


async def not_found_delta(services: DocumentServices, job_id: str, request: ChatTask) -> Delta:
    """The answer when no source matches, written without a model.

    The answer to a question to all documents states how many documents are still being ingested.
    """
    unread = (
        await count_ingesting(services.store, await _load_tenant(services, job_id)) if request.documents == "all" else 0
    )
    no_usage = Usage(input_tokens=0, output_tokens=0, total_tokens=0)
    return Delta(text=not_in_documents_message(unread, request.message), finish_reason="stop", usage=no_usage)


def shown_sources(sources: Sequence[Source]) -> tuple[AnswerSource, ...]:
    """The sources as the answer lists them: where each is, without its text."""
    return tuple(AnswerSource.model_validate(source, from_attributes=True) for source in sources)


def sources_delta(sources: Sequence[AnswerSource]) -> Delta:
    """The event that precedes the text of the answer."""
    return Delta(event=transitions.sources_event(sources))


async def citations(text: str, request: ChatTask, sources: Sequence[Source]) -> tuple[Citation, ...]:
    """Extract the citations in a thread, since it takes CPU time. A fault costs only them: the answer is paid for."""
    try:
        cited = await asyncio.to_thread(extract_citations, text, _build_question(request).text, sources)
    except Exception as error:  # noqa: BLE001
        logger.error("citations_failed error=%s", type(error).__name__)  # noqa: TRY400  # the traceback may quote the answer
        return ()
    return tuple(Citation.model_validate(quote, from_attributes=True) for quote in cited)


def _build_question(request: ChatTask) -> SearchQuery:
    return build_query(request.message, [message.content for message in request.history if message.role == "user"])


async def _chosen_ids(services: DocumentServices, request: ChatTask, tenant: Tenant) -> tuple[str, ...] | None:
    """The documents to answer from; None for all of them. Raises DocumentRejected if no document has the tags."""
    if request.documents not in ("all", None):
        return tuple(request.documents or ())
    if not request.document_tags:
        return None
    tagged = await tagged_document_ids(services.store, tenant, request.document_tags)
    if not tagged:
        raise DocumentRejected("no document that is ready has the tags", code="document_not_found")
    return tagged


async def _load_tenant(services: DocumentServices, job_id: str) -> Tenant:
    job = await services.store.run(queries.record(job_id))
    if job is None:  # the job was deleted, and its lease with it
        raise AttemptStopped(StopReason.LEASE_LOST)
    return job.tenant


async def _embed_question(
    services: DocumentServices, question: SearchQuery, provider: ModelCalls, timeouts: Timeouts, own_target: str = ""
) -> tuple["array[float]", float]:
    """The vector to search by, and the minimum similarity of a chunk that matches.

    The first question of a worker process also measures the embedding model, in the same call.
    """
    model = services.settings.document_embedding_model
    min_similarity = services.settings.effective_min_similarity
    if min_similarity is None:
        min_similarity = services.measured_similarities.get(model)
    texts = question.texts if min_similarity is not None else (*question.texts, *PROBES)
    request = EmbeddingsTask.model_construct(kind="embeddings", input=texts, model=model)
    deadline = asyncio.get_running_loop().time() + timeouts.total
    answer = await services.governor.embed(provider, request, timeouts, deadline, own_target)
    vectors = [vector_encoding.unpack(vector) for vector in answer.vectors]
    if min_similarity is None:
        min_similarity = measure_min_similarity(vectors[len(question.texts) :])
        services.measured_similarities[model] = min_similarity
    return combine(vectors[: len(question.texts)]), min_similarity


async def _search(
    services: DocumentServices,
    question: SearchQuery,
    vector: "array[float]",
    tenant: Tenant,
    document_ids: Sequence[str] | None,
) -> tuple[list[SearchHit], dict[str, str]]:
    """The best hits, and the filename of each document that may be cited.

    Chunks of documents that may not be cited would displace others from the result. If any are found, the search is
    repeated among the citable documents only.
    """
    model = EmbeddingModel(services.settings.document_embedding_model, len(vector))
    with translate_document_errors():
        table = await services.storage.chunks()
        await _check_embedding_model(services, table, model, tenant, document_ids)
        found = await table.search(question.search_text, vector.tobytes(), model, tenant, document_ids)
        names = await _load_filenames(services, found, tenant, document_ids)
        if any(hit.document_id not in names for hit in found):
            ready = await citable_document_ids(services.store, tenant)
            found = await table.search(question.search_text, vector.tobytes(), model, tenant, ready)
            names = await _load_filenames(services, found, tenant, None)
    return found, names


async def _load_filenames(
    services: DocumentServices, found: Sequence[SearchHit], tenant: Tenant, document_ids: Sequence[str] | None
) -> dict[str, str]:
    """Raises DocumentRejected if a requested document was deleted meanwhile: the answer must not be "not found"."""
    if document_ids is not None:
        return await require_filenames(services.store, document_ids, tenant)
    return await citable_filenames(services.store, dict.fromkeys(hit.document_id for hit in found), tenant)


async def _check_embedding_model(
    services: DocumentServices,
    table: ChunkTable,
    model: EmbeddingModel,
    tenant: Tenant,
    document_ids: Sequence[str] | None,
) -> None:
    """Raises EmbeddingModelChanged if a document has vectors of another model. Skipping it would hide its content."""
    model_by_document = await table.documents_of_other_models(model, tenant, document_ids)
    names = await citable_filenames(services.store, model_by_document, tenant)
    if names:
        raise EmbeddingModelChanged(
            f"the question is embedded with {model}, but some documents were embedded with another model: "
            f"{_join_limited([f'{document_id} with {model_by_document[document_id]}' for document_id in names])}. "
            "Ingest them again: POST /api/v1/documents/{id}/ingest"
        )


def _join_limited(texts: Sequence[str]) -> str:
    rest = len(texts) - _MAX_NAMED
    return ", ".join(texts[:_MAX_NAMED]) + (f" and {rest} more" if rest > 0 else "")
