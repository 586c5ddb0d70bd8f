"""One attempt at one job, as a list of steps: claim, do the work (for most: call the provider), settle.

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
from jobs.requests import input_chars
from jobs.results import JobError
from jobs.states import State
from jobs.storage import transitions
from jobs.storage.transitions import AttemptEnd, NotClaimed, Unreadable
from tasks.attempt.answer_accumulator import Received
from tasks.attempt.event_writer import EventWriter
from tasks.attempt.handlers import work
from tasks.documents.ingest import note_failure
from tasks.leases import Hold, Stop, Stopped
from tasks.provider.formats.delta import CUT_SHORT
from tasks.retry import GiveUp, decide
from tasks.runtime import Runtime

logger = logging.getLogger(__name__)


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


async def attempt(runtime: Runtime, job_id: str) -> Outcome:
    """Make one attempt. Raises nothing that a provider, a lost lease or a stopping worker causes."""
    try:
        claim = await _claim(runtime, job_id)
        if isinstance(claim, NotClaimed):
            return NothingDone(claim.reason)
        if isinstance(claim, Unreadable):
            return await _settle_unreadable(runtime, claim)
        return await _under_lease(runtime, claim)
    except StoreUnavailable:
        return NothingDone("store_unavailable")  # and the worker ends: the lease expires


async def _under_lease(runtime: Runtime, claim: Claim) -> Outcome:
    hold = runtime.heartbeat.hold(claim.lease)
    try:
        return await _see_through(runtime, claim, hold)
    except Stopped as stopped:
        return NothingDone(stopped.reason.value)
    except StoreUnavailable:
        raise
    except Exception as error:  # noqa: BLE001  # settling failed: not with this answer, so without one
        return await _settle_failure(runtime, claim, _crashed(claim.lease, error), None)
    finally:
        runtime.heartbeat.drop(hold)


async def _claim(runtime: Runtime, job_id: str) -> Claim | NotClaimed | Unreadable:
    claim_id = uuid.uuid4().hex
    return await runtime.store.run(transitions.claim(job_id, claim_id, runtime.worker, runtime.bell, runtime.settings))


async def _settle_unreadable(runtime: Runtime, claim: Unreadable) -> Outcome:
    """At once: no further attempt could read it either."""
    if await runtime.store.run(transitions.fail(claim.lease, claim.error, None, runtime.settings)):
        return Ended(State.FAILED, claim.error)
    return NothingDone(Stop.LEASE_LOST.value)


async def _see_through(runtime: Runtime, claim: Claim, hold: Hold) -> Outcome:
    interval_seconds = runtime.settings.append_interval_seconds
    writer = EventWriter(hold, runtime.store, interval_seconds, input_chars(claim.request))
    received = Received(claim.request, writer)
    try:
        await hold.run(_contained(runtime, claim, received))
    except AttemptError as error:
        return await _settle_failure(runtime, claim, error, received)
    except Stopped as stopped:
        if stopped.reason is Stop.WORKER_STOPS:
            return await _release(runtime, claim.lease, None, 0, "refund", received)
        raise
    except asyncio.CancelledError:
        return NothingDone("worker_ended")  # at once: the lease expires
    return await _settle_success(runtime, claim.lease, received)


async def _contained(runtime: Runtime, claim: Claim, received: Received) -> None:
    """The call, with whatever it raises made an AttemptError: a SystemExit would end the loop of all the others."""
    try:
        await work(runtime, claim, received)
    except (AttemptError, Stopped, asyncio.CancelledError):
        raise
    except BaseException as error:  # noqa: BLE001
        raise _crashed(claim.lease, error) from None


def _crashed(lease: Lease, error: BaseException) -> AttemptCrashed:
    """Names the error's type alone: its text may quote the answer."""
    logger.error("attempt_crashed job_id=%s error=%s", lease.job_id, type(error).__name__)
    return AttemptCrashed(f"the attempt ended with {type(error).__name__}, a fault of the server")


async def _settle_success(runtime: Runtime, lease: Lease, received: Received) -> Outcome:
    answer = received.whole or await received.text_answer()
    state = State.INCOMPLETE if received.finish_reason in CUT_SHORT else State.COMPLETED
    if not await runtime.store.run(transitions.finish(lease, answer, state, runtime.settings, received.writer.tail)):
        raise Stopped(Stop.LEASE_LOST)
    return Ended(state)


async def _settle_failure(runtime: Runtime, claim: Claim, error: AttemptError, received: Received | None) -> Outcome:
    said = JobError(code=error.code, message=error.message)
    decision = decide(
        error,
        claim.failures + 1,
        claim.max_attempts,
        claim.remaining_ms / 1000,
        runtime.settings,
        random.random(),  # noqa: S311  # spreads retries
    )
    if not isinstance(decision, GiveUp):
        return await _release(runtime, claim.lease, said, decision.wait_seconds, "failures", received)
    said = JobError(code=error.code, message="; ".join(filter(None, (error.message, decision.reason))))
    await note_failure(runtime, claim, said)
    partial = await received.text_answer() if received and received.writer.text else None
    tail = received.writer.tail if received else None
    if not await runtime.store.run(transitions.fail(claim.lease, said, partial, runtime.settings, tail=tail)):
        raise Stopped(Stop.LEASE_LOST)
    return Ended(State.FAILED, said)


async def _release(
    runtime: Runtime,
    lease: Lease,
    error: JobError | None,
    wait_seconds: float,
    how: AttemptEnd,
    received: Received | None,
) -> Waits:
    tail = received.writer.tail if received else None
    retry_at_ms = await runtime.store.run(transitions.release(lease, error, wait_seconds, runtime.bell, how, tail))
    if retry_at_ms is None:
        raise Stopped(Stop.LEASE_LOST)
    return Waits(error, retry_at_ms)
