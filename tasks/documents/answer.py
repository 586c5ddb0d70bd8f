"""A question to documents: what it rests on is found before the provider is asked for the answer."""

import asyncio
import logging
from array import array
from collections.abc import Sequence
from typing import Final, Protocol

from documents.chunk_table import ChunkTable
from documents.citations import read_citations
from documents.errors import EmbeddingModelChanged
from documents.models import EmbeddingModel, Found, Source
from documents.prompting import say_not_in_documents, write_prompt
from documents.question import Question, blend, pose
from documents.source_selection import choose
from jobs import queries, vectors
from jobs.requests import ChatTask, EmbeddingsTask
from jobs.results import Citation, EmbeddingsAnswer, Usage
from tasks.document_storage import document_errors
from tasks.documents.eligibility import count_ingesting, ids_of_citable, names_of_asked, names_of_citable
from tasks.leases import Stop, Stopped
from tasks.provider.formats.delta import Piece
from tasks.provider.timeouts import Patience
from tasks.runtime import Runtime

logger = logging.getLogger(__name__)
_MOST_NAMED: Final = 10  # documents in one message


class CanEmbed(Protocol):
    async def embed(self, request: EmbeddingsTask, patience: Patience) -> EmbeddingsAnswer: ...


async def find_sources(
    runtime: Runtime, job_id: str, request: ChatTask, provider: CanEmbed, patience: Patience
) -> tuple[Source, ...]:
    """The sources to answer from, the best first; none when the answer is not in the documents.

    Raises AttemptError: above all DocumentRejected, before any call, for a document that cannot be asked.
    """
    tenant = await _tenant(runtime, job_id)
    asked_ids = None if request.documents in ("all", None) else tuple(request.documents or ())
    await names_of_asked(runtime.store, asked_ids or (), tenant)
    question = _question(request)
    vector = await _vector(runtime, question, provider, patience)
    found, names = await _search(runtime, question, vector, tenant, asked_ids)
    settings = runtime.settings
    most, nearness = settings.document_context_tokens, settings.document_similarity
    return choose(question.text, found, names, most, nearness, question.before)


def grounded(request: ChatTask, sources: Sequence[Source]) -> ChatTask:
    """The chat as the provider gets it."""
    prompt = write_prompt(request.message, sources, request.system)
    return request.model_copy(update={"message": prompt.message, "system": prompt.system, "documents": None})


async def not_found(runtime: Runtime, job_id: str, request: ChatTask) -> Piece:
    """What is said without a model when no source fits. Who asked all documents hears of those not read yet."""
    unread = await count_ingesting(runtime.store, await _tenant(runtime, job_id)) if request.documents == "all" else 0
    no_usage = Usage(input_tokens=0, output_tokens=0, total_tokens=0)
    return Piece(text=say_not_in_documents(unread), finish_reason="stop", usage=no_usage)


async def citations(text: str, request: ChatTask, sources: Sequence[Source]) -> tuple[Citation, ...]:
    """In a thread: it takes CPU time. A fault in it costs the citations, never the answer, which has been paid for."""
    try:
        cited = await asyncio.to_thread(read_citations, text, _question(request).text, sources)
    except Exception as error:  # noqa: BLE001
        logger.error("citing_failed error=%s", type(error).__name__)  # noqa: TRY400  # the traceback may quote the answer
        return ()
    return tuple(
        Citation(document_id=one.document_id, filename=one.filename, page=one.page, quote=one.quote, score=one.score)
        for one in cited
    )


def _question(request: ChatTask) -> Question:
    return pose(request.message, [turn.content for turn in request.history if turn.role == "user"])


async def _tenant(runtime: Runtime, job_id: str) -> str:
    job = await runtime.store.run(queries.record(job_id))
    if job is None:  # deleted, and its lease with it
        raise Stopped(Stop.LEASE_LOST)
    return job.tenant


async def _vector(runtime: Runtime, question: Question, provider: CanEmbed, patience: Patience) -> "array[float]":
    model = runtime.settings.document_model
    request = EmbeddingsTask.model_construct(kind="embeddings", input=question.texts, model=model)
    answer = await provider.embed(request, patience)
    return blend([vectors.unpack(vector) for vector in answer.vectors])


async def _search(
    runtime: Runtime, question: Question, vector: "array[float]", tenant: str, asked_ids: Sequence[str] | None
) -> tuple[list[Found], dict[str, str]]:
    """What fits best, and the file's name of each document that may be cited.

    What is left of documents that may not be cited takes the places of others: then those that may are named.
    """
    model = EmbeddingModel(runtime.settings.document_model, len(vector))
    with document_errors():
        table = await runtime.library.chunks()
        await _refuse_other_models(runtime, table, model, tenant, asked_ids)
        found = await table.search(question.words, vector.tobytes(), model, tenant, asked_ids)
        names = await _names(runtime, found, tenant, asked_ids)
        if any(one.document_id not in names for one in found):
            ready = await ids_of_citable(runtime.store, tenant)
            found = await table.search(question.words, vector.tobytes(), model, tenant, ready)
            names = await _names(runtime, found, tenant, None)
    return found, names


async def _names(
    runtime: Runtime, found: Sequence[Found], tenant: str, asked_ids: Sequence[str] | None
) -> dict[str, str]:
    """Raises DocumentRejected where one that was asked by its id has gone since: its answer is not "not there"."""
    if asked_ids is not None:
        return await names_of_asked(runtime.store, asked_ids, tenant)
    return await names_of_citable(runtime.store, dict.fromkeys(one.document_id for one in found), tenant)


async def _refuse_other_models(
    runtime: Runtime, table: ChunkTable, model: EmbeddingModel, tenant: str, asked_ids: Sequence[str] | None
) -> None:
    """Rather than answer as if documents that cannot be compared with the question did not exist."""
    kept = await table.kept_otherwise(model, tenant, asked_ids)
    names = await names_of_citable(runtime.store, kept, tenant)
    if names:
        raise EmbeddingModelChanged(
            f"the question comes with {model}, but some documents were kept with another model: "
            f"{_listed([f'{document_id} with {kept[document_id]}' for document_id in names])}. "
            "Delete them and send them again"
        )


def _listed(words: Sequence[str]) -> str:
    rest = len(words) - _MOST_NAMED
    return ", ".join(words[:_MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")
