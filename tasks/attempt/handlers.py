"""The work of an attempt, by the kind of its job: for most a call to the provider, for some documents before it."""

import asyncio
from contextlib import aclosing

from jobs.models import Claim
from jobs.requests import ChatTask, Conversation, EmbeddingsTask, IngestTask, RemovalTask, input_chars
from tasks.attempt.answer_accumulator import Received
from tasks.documents import answer
from tasks.documents.ingest import ingest_document, remove_document
from tasks.provider.client import Provider
from tasks.provider.quarantine import Quarantine
from tasks.provider.timeouts import Patience
from tasks.runtime import Runtime


async def work(runtime: Runtime, claim: Claim, received: Received) -> None:
    """What the request asks for; raises AttemptError, and whatever a fault of ours raises."""
    is_suspect = claim.deaths >= runtime.settings.quarantine_deaths
    provider = runtime.quarantine if is_suspect else runtime.provider
    patience = Patience.of(claim.request.limits, claim.remaining_ms / 1000, runtime.settings)
    match claim.request:
        case IngestTask() as request:
            received.whole = await ingest_document(runtime, claim, request)
        case RemovalTask() as request:
            received.whole = await remove_document(runtime, request)
        case EmbeddingsTask() as request:
            received.whole = await provider.embed(request, patience)
        case ChatTask(documents=documents) as request if documents is not None:
            await _ask_documents(runtime, claim, request, provider, patience, received)
        case request:
            await _converse(provider, request, patience, received)


async def _ask_documents(
    runtime: Runtime,
    claim: Claim,
    request: ChatTask,
    provider: Provider | Quarantine,
    patience: Patience,
    received: Received,
) -> None:
    clock = asyncio.get_running_loop().time
    began = clock()
    received.sources = await answer.find_sources(runtime, claim.lease.job_id, request, provider, patience)
    if received.sources:
        grounded = answer.grounded(request, received.sources)
        received.writer.input_chars = input_chars(grounded)
        await _converse(provider, grounded, patience.after(clock() - began), received)
    else:
        received.add(await answer.not_found(runtime, claim.lease.job_id, request))
        await received.writer.close()


async def _converse(
    provider: Provider | Quarantine, request: Conversation, patience: Patience, received: Received
) -> None:
    try:
        async with aclosing(provider.chat(request, patience)) as pieces:
            async for piece in pieces:
                received.add(piece)
    finally:
        await received.writer.close()
