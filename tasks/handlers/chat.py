"""A chat call, answered by the provider alone or from documents."""

import asyncio
from collections.abc import Sequence

from documents.answering.sections import Section
from documents.answering.summaries import all_sources
from documents.models import Source
from jobs.kinds.chat import ChatAnswer, ChatTask
from tasks.documents import answer
from tasks.documents.eligibility import with_page_labels
from tasks.documents.whole_documents import LongDocuments
from tasks.handlers.base import AttemptContext
from tasks.handlers.streamed_answer import AnswerAccumulator, stream_answer
from tasks.handlers.summarizing import Summarizer


async def run(context: AttemptContext[ChatTask]) -> ChatAnswer:
    if context.request.documents is None:
        return await stream_answer(context, context.request, context.timeouts, _build_answer)
    return await _answer_from_documents(context)


async def _build_answer(accumulator: AnswerAccumulator) -> ChatAnswer:
    return ChatAnswer(**accumulator.answer_fields())


async def _answer_from_documents(context: AttemptContext[ChatTask]) -> ChatAnswer:
    started_at = asyncio.get_running_loop().time()
    found = await answer.find_sources(
        context.documents, context.job_id, context.request, context.provider, context.timeouts, context.claim.target
    )
    if isinstance(found, LongDocuments):
        return await _summarize(context, found.sections, started_at)
    if not found:
        return await _not_in_documents(context)
    return await _stream_cited(context, answer.with_sources(context.request, found), found, started_at)


async def _summarize(context: AttemptContext[ChatTask], sections: Sequence[Section], started_at: float) -> ChatAnswer:
    """Summarize each section, and then answer from the summaries."""
    summarizer = Summarizer(context, sections)
    summaries = await summarizer.summarize()
    shortened = await summarizer.shorten(summaries, context.documents.settings.document_whole_tokens)
    request = answer.with_summaries(context.request, shortened)
    appendix = answer.appended_sections(context.request, summaries)
    return await _stream_cited(context, request, all_sources(sections), started_at, appendix)


async def _stream_cited(
    context: AttemptContext[ChatTask],
    request: ChatTask,
    sources: Sequence[Source],
    started_at: float,
    appendix: str = "",
) -> ChatAnswer:
    """Stream the answer to this request, and cite the sources that it contains."""
    shown = answer.shown_sources(sources)
    context.writer.add(answer.sources_delta(shown))

    async def build_answer(accumulator: AnswerAccumulator) -> ChatAnswer:
        cited = await answer.citations(accumulator.writer.text, context.request, sources)
        citations = await with_page_labels(context.documents.store, cited)
        return ChatAnswer(**accumulator.answer_fields(), citations=citations, sources=shown)

    timeouts = context.timeouts.after(asyncio.get_running_loop().time() - started_at)
    return await stream_answer(context, request, timeouts, build_answer, appendix)


async def _not_in_documents(context: AttemptContext[ChatTask]) -> ChatAnswer:
    accumulator = AnswerAccumulator(context.writer)
    accumulator.add(await answer.not_found_delta(context.documents, context.job_id, context.request))
    await context.writer.close()
    return ChatAnswer(**accumulator.answer_fields(), citations=(), sources=())
