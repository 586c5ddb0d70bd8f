"""One attempt at one job, as a list of steps: claim, call the provider, settle.

May be started any number of times for the same job, late or twice: the claim decides. May end at any point, by a
crash too: whatever has not been written under the lease's token did not happen.
"""

import asyncio
import random
import uuid
from dataclasses import dataclass
from typing import TypeAlias

from jobs import verbs
from jobs.errors import ProviderError
from jobs.models import ChatAnswer, ChatTask, EmbeddingsAnswer, JobError, Lease, Usage
from jobs.states import State
from jobs.verbs import NotClaimed
from tasks.event_writer import EventWriter
from tasks.heartbeat import Hold, LeaseLost
from tasks.retry import GiveUp, decide
from tasks.runtime import Runtime

_CUT_SHORT = frozenset({"length", "content_filter"})  # finish reasons of an answer that is not whole


@dataclass(frozen=True)
class Ended:
    state: State
    error: JobError | None = None


@dataclass(frozen=True)
class Waits:
    """The attempt failed or was given up; the job is queued again."""

    error: JobError | None
    retry_at_ms: int


@dataclass(frozen=True)
class NothingDone:
    """Not this worker's job, or not any more."""

    reason: str


Outcome: TypeAlias = Ended | Waits | NothingDone


@dataclass
class Received:
    """What the provider has said so far."""

    writer: EventWriter
    finish_reason: str | None = None
    model: str | None = None
    usage: Usage | None = None
    embeddings: EmbeddingsAnswer | None = None

    def chat_answer(self) -> ChatAnswer:
        return ChatAnswer(text=self.writer.text, model=self.model, finish_reason=self.finish_reason, usage=self.usage)


async def attempt(runtime: Runtime, job_id: str) -> Outcome:
    """Make one attempt. Raises nothing that a provider or a lost lease causes; those are outcomes."""
    lease = await _claim(runtime, job_id)
    if isinstance(lease, NotClaimed):
        return NothingDone(lease.reason)
    hold = runtime.heartbeat.hold(lease)
    try:
        return await _see_through(runtime, hold)
    except LeaseLost:
        return NothingDone("lease_lost")
    finally:
        runtime.heartbeat.drop(hold)


async def _claim(runtime: Runtime, job_id: str) -> Lease | NotClaimed:
    claim_id = uuid.uuid4().hex
    return await runtime.store.run(verbs.claim(job_id, claim_id, runtime.worker, runtime.bell, runtime.settings))


async def _see_through(runtime: Runtime, hold: Hold) -> Outcome:
    received = Received(EventWriter(hold, runtime.store, runtime.settings.append_interval_seconds))
    try:
        await hold.run(_call_provider(runtime, hold.lease, received))
    except ProviderError as error:
        return await _settle_failure(runtime, hold.lease, error, received)
    except asyncio.CancelledError:
        if not runtime.is_draining:
            raise
        return await _give_back(runtime, hold.lease)
    return await _settle_success(runtime, hold.lease, received)


async def _call_provider(runtime: Runtime, lease: Lease, received: Received) -> None:
    request = lease.request
    if not isinstance(request, ChatTask):
        received.embeddings = await runtime.provider.embed(request)
        return
    try:
        async for piece in runtime.provider.chat(request):
            received.writer.add(piece.text)
            received.finish_reason = piece.finish_reason or received.finish_reason
            received.model = piece.model or received.model
            received.usage = piece.usage or received.usage
    finally:
        await received.writer.close()


async def _settle_success(runtime: Runtime, lease: Lease, received: Received) -> Outcome:
    answer = received.embeddings or received.chat_answer()
    state = State.INCOMPLETE if received.finish_reason in _CUT_SHORT else State.COMPLETED
    if not await runtime.store.run(verbs.finish(lease, answer, state, runtime.settings)):
        raise LeaseLost
    return Ended(state)


async def _settle_failure(runtime: Runtime, lease: Lease, error: ProviderError, received: Received) -> Outcome:
    decision = decide(error, lease.attempt, lease.max_attempts, runtime.settings, random.random())  # noqa: S311
    said = JobError(code=error.code, message=error.message)
    if not isinstance(decision, GiveUp):
        return await _release(runtime, lease, said, decision.wait_seconds)
    said = JobError(code=error.code, message=f"{error.message}; {decision.reason}")
    partial = received.chat_answer() if received.writer.text else None
    if not await runtime.store.run(verbs.fail(lease, said, partial, runtime.settings)):
        raise LeaseLost
    return Ended(State.FAILED, said)


async def _give_back(runtime: Runtime, lease: Lease) -> Outcome:
    """The worker stops: the job goes to the head of the queue and the attempt is not counted."""
    return await _release(runtime, lease, None, 0, is_refund=True)


async def _release(
    runtime: Runtime, lease: Lease, error: JobError | None, wait_seconds: float, *, is_refund: bool = False
) -> Waits:
    command = verbs.release(lease, error, wait_seconds, runtime.bell, is_refund=is_refund)
    retry_at_ms = await runtime.store.run(command)
    if retry_at_ms is None:
        raise LeaseLost
    return Waits(error, retry_at_ms)
