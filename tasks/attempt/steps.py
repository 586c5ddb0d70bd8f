"""One attempt at one job, as a list of steps: claim, do the work (for most: call the provider), finalize.

May be started any number of times for the same job, late or twice: the claim decides. May end at any point, by a
crash too: whatever has not been written under the lease's token did not happen.
"""

import asyncio
import logging
import random
import uuid
from dataclasses import dataclass
from typing import TypeAlias

from jobs.errors import AttemptCrashed, AttemptError, StoreUnavailable
from jobs.models import Claim, Lease
from jobs.results import JobError
from jobs.states import State
from jobs.storage import transitions
from jobs.storage.transitions import AttemptEnd, NotClaimed, UnreadableClaim
from tasks.attempt.answer_accumulator import AnswerAccumulator
from tasks.attempt.event_writer import EventWriter
from tasks.attempt.handlers import run_handler
from tasks.documents.ingest import mark_document_failed
from tasks.leases import AttemptStopped, RunningAttempt, StopReason
from tasks.provider.formats.delta import TRUNCATED_REASONS
from tasks.retry import GiveUp, decide
from tasks.runtime import Runtime

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Finished:
    state: State
    error: JobError | None = None


@dataclass(frozen=True)
class Retrying:
    """The attempt failed or was given up; the job is queued again."""

    error: JobError | None
    retry_at_ms: int


@dataclass(frozen=True)
class Skipped:
    """Not this worker's job, or not any more."""

    reason: str


Outcome: TypeAlias = Finished | Retrying | Skipped


async def attempt(runtime: Runtime, job_id: str) -> Outcome:
    """Make one attempt. Raises nothing that a provider, a lost lease or a stopping worker causes."""
    try:
        claim = await _claim(runtime, job_id)
        if isinstance(claim, NotClaimed):
            return Skipped(claim.reason)
        if isinstance(claim, UnreadableClaim):
            return await _finalize_unreadable(runtime, claim)
        return await _run_under_lease(runtime, claim)
    except StoreUnavailable:
        return Skipped("store_unavailable")  # and the worker ends: the lease expires


async def _run_under_lease(runtime: Runtime, claim: Claim) -> Outcome:
    running_attempt = runtime.heartbeat.track(claim.lease)
    try:
        return await _run(runtime, claim, running_attempt)
    except AttemptStopped as stopped:
        return Skipped(stopped.reason.value)
    except StoreUnavailable:
        raise
    except Exception as error:  # noqa: BLE001  # finalizing failed: not with this answer, so without one
        return await _finalize_failure(runtime, claim, _crash_error(claim.lease, error), None)
    finally:
        runtime.heartbeat.untrack(running_attempt)


async def _claim(runtime: Runtime, job_id: str) -> Claim | NotClaimed | UnreadableClaim:
    claim_id = uuid.uuid4().hex
    return await runtime.store.run(
        transitions.claim(job_id, claim_id, runtime.worker, runtime.message_template, runtime.settings)
    )


async def _finalize_unreadable(runtime: Runtime, claim: UnreadableClaim) -> Outcome:
    """At once: no further attempt could read it either."""
    if await runtime.store.run(transitions.fail(claim.lease, claim.error, None, runtime.settings)):
        return Finished(State.FAILED, claim.error)
    return Skipped(StopReason.LEASE_LOST.value)


async def _run(runtime: Runtime, claim: Claim, running_attempt: RunningAttempt) -> Outcome:
    interval_seconds = runtime.settings.append_interval_seconds
    writer = EventWriter(running_attempt, runtime.store, interval_seconds, claim.request.input_chars)
    accumulator = AnswerAccumulator(claim.request, writer)
    try:
        await running_attempt.run(_call_handler(runtime, claim, accumulator))
    except AttemptError as error:
        return await _finalize_failure(runtime, claim, error, accumulator)
    except AttemptStopped as stopped:
        if stopped.reason is StopReason.WORKER_STOPPING:
            return await _release(runtime, claim.lease, None, 0, "refund", accumulator)
        raise
    except asyncio.CancelledError:
        return Skipped("worker_terminated")  # at once: the lease expires
    return await _finalize_success(runtime, claim.lease, accumulator)


async def _call_handler(runtime: Runtime, claim: Claim, accumulator: AnswerAccumulator) -> None:
    """The call, with whatever it raises made an AttemptError: a SystemExit would end the loop of all the others."""
    try:
        await run_handler(runtime, claim, accumulator)
    except (AttemptError, AttemptStopped, asyncio.CancelledError):
        raise
    except BaseException as error:  # noqa: BLE001
        raise _crash_error(claim.lease, error) from None


def _crash_error(lease: Lease, error: BaseException) -> AttemptCrashed:
    """Names the error's type alone: its text may quote the answer."""
    logger.error("attempt_crashed job_id=%s error=%s", lease.job_id, type(error).__name__)
    return AttemptCrashed(f"the attempt ended with {type(error).__name__}, a fault of the server")


async def _finalize_success(runtime: Runtime, lease: Lease, accumulator: AnswerAccumulator) -> Outcome:
    answer = accumulator.full_answer or await accumulator.build_answer()
    state = State.INCOMPLETE if accumulator.finish_reason in TRUNCATED_REASONS else State.COMPLETED
    if not await runtime.store.run(transitions.finish(lease, answer, state, runtime.settings, accumulator.writer.tail)):
        raise AttemptStopped(StopReason.LEASE_LOST)
    return Finished(state)


async def _finalize_failure(
    runtime: Runtime, claim: Claim, error: AttemptError, accumulator: AnswerAccumulator | None
) -> Outcome:
    job_error = JobError(code=error.code, message=error.message)
    decision = decide(
        error,
        claim.failures + 1,
        claim.max_attempts,
        claim.remaining_ms / 1000,
        runtime.settings,
        random.random(),  # noqa: S311  # spreads retries
    )
    if not isinstance(decision, GiveUp):
        return await _release(runtime, claim.lease, job_error, decision.wait_seconds, "failures", accumulator)
    job_error = JobError(code=error.code, message="; ".join(filter(None, (error.message, decision.reason))))
    await mark_document_failed(runtime, claim, job_error)
    partial = await accumulator.build_answer() if accumulator and accumulator.writer.text else None
    tail = accumulator.writer.tail if accumulator else None
    if not await runtime.store.run(transitions.fail(claim.lease, job_error, partial, runtime.settings, pending=tail)):
        raise AttemptStopped(StopReason.LEASE_LOST)
    return Finished(State.FAILED, job_error)


async def _release(
    runtime: Runtime,
    lease: Lease,
    error: JobError | None,
    wait_seconds: float,
    how: AttemptEnd,
    accumulator: AnswerAccumulator | None,
) -> Retrying:
    tail = accumulator.writer.tail if accumulator else None
    retry_at_ms = await runtime.store.run(
        transitions.release(lease, error, wait_seconds, runtime.message_template, how, tail)
    )
    if retry_at_ms is None:
        raise AttemptStopped(StopReason.LEASE_LOST)
    return Retrying(error, retry_at_ms)
