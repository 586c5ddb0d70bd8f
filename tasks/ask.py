"""A chat that is answered from documents: what it rests on is found before the provider is asked for the answer."""

import asyncio
from array import array
from collections.abc import Iterable, Sequence
from typing import Protocol

from documents.choosing import choose
from documents.citing import read_citations
from documents.models import EmbeddingModel, Found, Source
from documents.prompting import write_prompt
from documents.question import Question, blend, pose
from jobs import queries, shelf, vectors
from jobs.answers import Citation, EmbeddingsAnswer
from jobs.documents import DocumentRecord, DocumentState, DocumentView, refusal
from jobs.errors import DocumentRejected
from jobs.requests import ChatTask, EmbeddingsTask
from tasks.library import deleted, document_errors
from tasks.patience import Patience
from tasks.runtime import Runtime


class CanEmbed(Protocol):
    async def embed(self, request: EmbeddingsTask, patience: Patience) -> EmbeddingsAnswer: ...


async def find_sources(
    runtime: Runtime, job_id: str, request: ChatTask, provider: CanEmbed, patience: Patience
) -> tuple[Source, ...]:
    """The sources to answer from, the best first; none when the answer is not in the documents.

    Raises AttemptError: above all DocumentRejected, before any call, for a document that cannot be asked.
    """
    job = await runtime.store.run(queries.record(job_id))
    if job is None:
        raise deleted()
    asked_ids = None if request.documents in ("all", None) else tuple(request.documents or ())
    await _check(runtime, asked_ids or (), job.tenant)
    question = pose(request.message, [turn.content for turn in request.history if turn.role == "user"])
    vector = await _vector(runtime, question, provider, patience)
    with document_errors():
        table = await runtime.library.chunks()
        model = EmbeddingModel(runtime.settings.document_model, len(vector))
        found = await table.search(question.words, vector.tobytes(), model, job.tenant, asked_ids)
    names = await _filenames(runtime, found, job.tenant)
    settings = runtime.settings
    most, nearness = settings.document_context_tokens, settings.document_similarity
    return choose(question.text, found, names, most, nearness, question.before)


def grounded(request: ChatTask, sources: Sequence[Source]) -> ChatTask:
    """The chat as the provider gets it."""
    prompt = write_prompt(request.message, sources, request.system)
    return request.model_copy(update={"message": prompt.message, "system": prompt.system, "documents": None})


def citations(text: str, request: ChatTask, sources: Sequence[Source]) -> tuple[Citation, ...]:
    return tuple(
        Citation(
            document_id=cited.document_id,
            filename=cited.filename,
            page=cited.page,
            quote=cited.quote,
            score=cited.score,
        )
        for cited in read_citations(text, request.message, sources)
    )


async def _check(runtime: Runtime, document_ids: Sequence[str], tenant: str) -> None:
    for document_id, record in zip(document_ids, await _records(runtime, document_ids), strict=True):
        view = DocumentView(record=record, state=record.state) if record else None
        if error := refusal(document_id, view, tenant):
            raise DocumentRejected(error.message, code=error.code)


async def _vector(runtime: Runtime, question: Question, provider: CanEmbed, patience: Patience) -> "array[float]":
    model = runtime.settings.document_model
    request = EmbeddingsTask.model_construct(kind="embeddings", input=question.texts, model=model)
    answer = await provider.embed(request, patience)
    return blend([vectors.unpack(vector) for vector in answer.vectors])


async def _filenames(runtime: Runtime, found: Sequence[Found], tenant: str) -> dict[str, str]:
    """Of the found documents that may be cited: one that was deleted meanwhile may not."""
    records = await _records(runtime, dict.fromkeys(one.document_id for one in found))
    return {record.document_id: record.filename for record in records if record and _is_citable(record, tenant)}


async def _records(runtime: Runtime, document_ids: Iterable[str]) -> list[DocumentRecord | None]:
    """In the order asked for, in one round trip."""
    return await asyncio.gather(*(runtime.store.run(shelf.record(document_id)) for document_id in document_ids))


def _is_citable(record: DocumentRecord, tenant: str) -> bool:
    return record.state is DocumentState.READY and record.tenant == tenant
