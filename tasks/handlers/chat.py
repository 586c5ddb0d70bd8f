"""A chat call, answered by the provider alone or from documents."""

import asyncio

from jobs.kinds.chat import ChatAnswer, ChatTask
from tasks.documents import answer
from tasks.documents.eligibility import with_page_labels
from tasks.handlers.base import AttemptContext
from tasks.handlers.streamed_answer import AnswerAccumulator, stream_answer


async def run(context: AttemptContext[ChatTask]) -> ChatAnswer:
    if context.request.documents is None:
        return await stream_answer(context, context.request, context.timeouts, _build_answer)
    return await _answer_from_documents(context)


async def _build_answer(accumulator: AnswerAccumulator) -> ChatAnswer:
    return ChatAnswer(**accumulator.answer_fields())


async def _answer_from_documents(context: AttemptContext[ChatTask]) -> ChatAnswer:
    clock, request = asyncio.get_running_loop().time, context.request
    started_at = clock()
    sources = await answer.find_sources(context.documents, context.job_id, request, context.provider, context.timeouts)
    if not sources:
        return await _not_in_documents(context)

    shown = answer.shown_sources(sources)
    context.writer.add(answer.sources_delta(shown))

    async def build_answer(accumulator: AnswerAccumulator) -> ChatAnswer:
        cited = await answer.citations(accumulator.writer.text, request, sources)
        citations = await with_page_labels(context.documents.store, cited)
        return ChatAnswer(**accumulator.answer_fields(), citations=citations, sources=shown)

    grounded_request = answer.with_sources(request, sources)
    return await stream_answer(context, grounded_request, context.timeouts.after(clock() - started_at), build_answer)


async def _not_in_documents(context: AttemptContext[ChatTask]) -> ChatAnswer:
    accumulator = AnswerAccumulator(context.writer)
    accumulator.add(await answer.not_found_delta(context.documents, context.job_id, context.request))
    await context.writer.close()
    return ChatAnswer(**accumulator.answer_fields(), citations=(), sources=())
