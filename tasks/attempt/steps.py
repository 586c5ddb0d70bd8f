"""One attempt at one job, step by step: claim, start, run, classify, finalize.

A job may be attempted any number of times, also late or twice: the claim decides which attempt continues. An attempt
may end at any point, also by a crash: only writes under its lease's token count.
"""

import asyncio
import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias, TypeVar

from guards.json_log import log_context
from jobs.errors import AttemptError, RequestTooLarge, StoreUnavailable
from jobs.kinds.base import Answer, TextAnswer
from jobs.models import Claim
from jobs.results import JobError
from jobs.settings import Settings
from jobs.states import State
from jobs.storage import transitions
from jobs.storage.async_store import AsyncStore
from jobs.storage.commands import Command
from jobs.storage.message_template import MessageTemplate
from jobs.storage.transitions import AttemptEnd, Behind, ClaimResult, NotClaimed, PendingEvents, Unable, UnreadableClaim
from tasks.attempt.claim_gate import ClaimGate
from tasks.attempt.metrics import AttemptMetrics
from tasks.attempt.outcome_log import log_outcome
from tasks.attempt.outcomes import (
    LEASE_LOST,
    NOT_SAFE,
    UNABLE,
    Drained,
    Failure,
    Finished,
    Outcome,
    Retrying,
    Skipped,
    classify,
)
from tasks.attempt.put_backs import PutBackLog
from tasks.documents.services import DocumentServices
from tasks.governor import Governor
from tasks.handlers import HANDLERS
from tasks.handlers.base import AttemptContext
from tasks.handlers.event_writer import EventWriter
from tasks.heartbeat import AttemptStopped, Heartbeat
from tasks.outbox import Outbox
from tasks.provider.formats.delta import TRUNCATED_REASONS
from tasks.provider.providers import Providers
from tasks.provider.quarantine import Quarantine
from tasks.provider.timeouts import Timeouts
from tasks.retry import GiveUp, TryAgain, WaitForProvider, decide, decide_after_fault

T = TypeVar("T")
Context: TypeAlias = AttemptContext[Any]


@dataclass(frozen=True)
class AttemptServices:
    """The services that all attempts of a worker process share, on its event loop."""

    settings: Settings
    worker: str  # the name of this process in its leases
    store: AsyncStore
    message_template: MessageTemplate
    heartbeat: Heartbeat
    outbox: Outbox
    governor: Governor
    provider: Providers
    quarantine: Quarantine
    documents: DocumentServices
    claim_gate: ClaimGate
    metrics: AttemptMetrics
    put_backs: PutBackLog = field(default_factory=PutBackLog)


async def attempt(services: AttemptServices, job_id: str) -> Outcome:
    """Make one attempt. A fault of the provider, a lost lease or a stopping worker is an outcome, not an exception."""
    claim: ClaimResult | None = None
    log_context.set({"job_id": job_id})  # of this attempt's own task
    try:
        if not await services.claim_gate.may_claim():
            return Skipped(NOT_SAFE)
        claim = await _claim(services, job_id)
        outcome = await _attempt(services, job_id, claim)
        await services.outbox.publish()
    except StoreUnavailable:
        outcome = Skipped("store_unavailable")  # the worker stops, and the lease expires
    log_outcome(job_id, outcome, claim)
    return outcome


async def _attempt(services: AttemptServices, job_id: str, claim: ClaimResult) -> Outcome:
    if isinstance(claim, NotClaimed):
        return Skipped(claim.reason)
    if isinstance(claim, Unable):
        services.put_backs.add(job_id, claim.needs)
        return Skipped(UNABLE)
    if isinstance(claim, UnreadableClaim):
        return await _finalize_unreadable(services, claim)
    services.metrics.started(claim)
    lease = claim.lease
    log_context.set({"job_id": job_id, "request_id": lease.request_id, "attempt": lease.attempt})
    context = _start(services, claim)
    try:
        ending = await _run(context)
        outcome = await _finalize(services, context, ending)
    finally:
        services.heartbeat.untrack(context.running_attempt)
    services.metrics.ended(context, ending, outcome)
    return outcome


async def _claim(services: AttemptServices, job_id: str) -> ClaimResult:
    claim_id = uuid.uuid4().hex
    return await services.store.run(
        transitions.claim(job_id, claim_id, services.worker, services.message_template, services.settings)
    )


def _start(services: AttemptServices, claim: Claim) -> Context:
    """Track the lease, and build the context of the work."""
    settings, request = services.settings, claim.request
    is_quarantined = claim.worker_losses >= settings.quarantine_after_worker_losses
    running_attempt = services.heartbeat.track(claim.lease)
    return AttemptContext(
        claim=claim,
        request=request,
        provider=services.quarantine if is_quarantined else services.provider,
        timeouts=Timeouts.of(request.limits, claim.remaining_ms / 1000, settings),
        running_attempt=running_attempt,
        writer=EventWriter(running_attempt, services.store, settings.append_interval_seconds),
        documents=services.documents,
        on_output=partial(services.governor.note_output, claim) if claim.is_probe else None,
    )


async def _run(context: Context) -> Answer | Failure:
    """Do the work, until it ends or the attempt is stopped."""
    try:
        return await context.running_attempt.run(_work(context))
    except (AttemptStopped, asyncio.CancelledError) as error:
        return classify(context.job_id, error)


async def _work(context: Context) -> Answer | Failure:
    """No exception but the cancellation leaves this task: a SystemExit would end the event loop of all attempts."""
    try:
        if context.claim.is_too_large:
            return RequestTooLarge("the request needs more tokens than its model is allowed in a minute")
        return await HANDLERS[context.request.kind].run(context)
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # noqa: BLE001
        return classify(context.job_id, error)


async def _finalize(services: AttemptServices, context: Context, ending: Answer | Failure) -> Outcome:
    """Write the attempt's ending. An answer that cannot be written counts as a crash and is dropped."""
    try:
        return await _write_ending(services, context, ending)
    except StoreUnavailable:
        raise
    except Exception as error:  # noqa: BLE001
        context.build_partial = None
        context.writer.drop_tail()
        return await _write_ending(services, context, classify(context.job_id, error))


async def _write_ending(services: AttemptServices, context: Context, ending: Answer | Failure) -> Outcome:
    match ending:
        case Skipped():
            return ending
        case Drained():
            return await _release(services, context, None, 0, "refund")
        case AttemptError():
            return await _write_failure(services, context, ending)
    is_truncated = isinstance(ending, TextAnswer) and ending.finish_reason in TRUNCATED_REASONS
    state = State.INCOMPLETE if is_truncated else State.COMPLETED
    is_written = await _write(
        services, context, lambda tail: transitions.finish(context.claim.lease, ending, state, services.settings, tail)
    )
    return Finished(state) if is_written else LEASE_LOST


async def _write(
    services: AttemptServices, context: Context, command: Callable[[PendingEvents | None], Command[T | Behind]]
) -> T | None:
    """Run a command that also writes the events not yet written. Events that Redis has lost are written first.

    Returns None if the lease is lost meanwhile.
    """
    while not context.running_attempt.has_lost_lease:
        written = await services.store.run(command(context.writer.tail))
        if not isinstance(written, Behind):
            return written
        await context.writer.rewrite(written.log_length)
    return None


async def _write_failure(services: AttemptServices, context: Context, error: AttemptError) -> Outcome:
    """Queue the job again, or fail it and keep its partial text."""
    claim = context.claim
    job_error = JobError(code=error.code, message=error.message, provider=error.provider_error)
    decision = await _decide_after_fault(services, claim, error) or decide(
        error,
        claim.failures + 1,
        claim.max_attempts,
        claim.remaining_ms / 1000,
        services.settings,
        random.random(),  # noqa: S311  # spreads retries
    )
    if isinstance(decision, WaitForProvider):
        return await _release(services, context, job_error, decision.wait_seconds, "waits")
    if isinstance(decision, TryAgain):
        return await _release(services, context, job_error, decision.wait_seconds, "failures")
    message = "; ".join(filter(None, (error.message, decision.reason)))
    job_error = job_error.model_copy(update={"message": message})
    if on_failed := HANDLERS[context.request.kind].on_failed:
        await on_failed(context, job_error)
    partial = await context.build_partial() if context.build_partial and context.writer.text else None
    is_written = await _write(
        services,
        context,
        lambda tail: transitions.fail(claim.lease, job_error, partial, services.settings, pending=tail),
    )
    return Finished(State.FAILED, job_error) if is_written else LEASE_LOST


async def _decide_after_fault(
    services: AttemptServices, claim: Claim, error: AttemptError
) -> WaitForProvider | GiveUp | None:
    """Note a fault of the provider for all workers, and decide on the job. None if the job itself is the cause."""
    if error.fault is None or not claim.target:
        return None
    after = await services.governor.note_fault(claim.target, error, job_id=claim.lease.job_id)
    jitter = random.random()  # noqa: S311  # spreads retries
    return decide_after_fault(error, after, claim.waits, claim.remaining_ms / 1000, services.settings, jitter)


async def _release(
    services: AttemptServices, context: Context, error: JobError | None, wait_seconds: float, how: AttemptEnd
) -> Outcome:
    lease, message_template = context.claim.lease, services.message_template
    retry_at_ms = await _write(
        services,
        context,
        lambda tail: transitions.release(lease, error, wait_seconds, message_template, how, tail),
    )
    return LEASE_LOST if retry_at_ms is None else Retrying(error, retry_at_ms)


async def _finalize_unreadable(services: AttemptServices, claim: UnreadableClaim) -> Outcome:
    """Put the job back, uncounted, for a worker of another version. Without its request the job fails."""
    if claim.is_lost:
        command = transitions.fail(claim.lease, claim.error, None, services.settings)
        return Finished(State.FAILED, claim.error) if await services.store.run(command) else LEASE_LOST
    services.put_backs.add(claim.lease.job_id, ("request",))
    retry_at_ms = await services.store.run(transitions.put_back(claim.lease, services.message_template))
    return Retrying(claim.error, retry_at_ms) if isinstance(retry_at_ms, int) else LEASE_LOST
