"""The work of an attempt, by the kind of its job: for most a call to the provider, for some documents before it."""

import asyncio
from contextlib import aclosing

from jobs.kinds.base import Conversation
from jobs.kinds.chat import ChatTask
from jobs.kinds.embeddings import EmbeddingsTask
from jobs.kinds.ingest import IngestTask
from jobs.kinds.removal import RemovalTask
from jobs.models import Claim
from tasks.attempt.answer_accumulator import AnswerAccumulator
from tasks.documents import answer
from tasks.documents.ingest import ingest_document, remove_document
from tasks.provider.client import Provider
from tasks.provider.quarantine import Quarantine
from tasks.provider.timeouts import Timeouts
from tasks.runtime import Runtime


async def run_handler(runtime: Runtime, claim: Claim, accumulator: AnswerAccumulator) -> None:
    """What the request asks for; raises AttemptError, and whatever a fault of ours raises."""
    is_quarantined = claim.worker_losses >= runtime.settings.quarantine_after_worker_losses
    provider = runtime.quarantine if is_quarantined else runtime.provider
    timeouts = Timeouts.of(claim.request.limits, claim.remaining_ms / 1000, runtime.settings)
    match claim.request:
        case IngestTask() as request:
            accumulator.full_answer = await ingest_document(runtime, claim, request)
        case RemovalTask() as request:
            accumulator.full_answer = await remove_document(runtime, request)
        case EmbeddingsTask() as request:
            accumulator.full_answer = await provider.embed(request, timeouts)
        case ChatTask(documents=documents) as request if documents is not None:
            await _answer_from_documents(runtime, claim, request, provider, timeouts, accumulator)
        case Conversation() as request:
            await _stream_chat(provider, request, timeouts, accumulator)


async def _answer_from_documents(
    runtime: Runtime,
    claim: Claim,
    request: ChatTask,
    provider: Provider | Quarantine,
    timeouts: Timeouts,
    accumulator: AnswerAccumulator,
) -> None:
    clock = asyncio.get_running_loop().time
    started_at = clock()
    accumulator.sources = await answer.find_sources(runtime, claim.lease.job_id, request, provider, timeouts)
    if accumulator.sources:
        grounded_request = answer.with_sources(request, accumulator.sources)
        accumulator.writer.input_chars = grounded_request.input_chars
        await _stream_chat(provider, grounded_request, timeouts.after(clock() - started_at), accumulator)
    else:
        accumulator.add(await answer.not_found_delta(runtime, claim.lease.job_id, request))
        await accumulator.writer.close()


async def _stream_chat(
    provider: Provider | Quarantine, request: Conversation, timeouts: Timeouts, accumulator: AnswerAccumulator
) -> None:
    try:
        async with aclosing(provider.chat(request, timeouts)) as deltas:
            async for delta in deltas:
                accumulator.add(delta)
    finally:
        await accumulator.writer.close()
