"""What a worker process tells the governor, which all workers share in Redis, and asks of it.

A job's own call is counted by its claim and its end. This module counts the calls that a running job makes besides,
such as the embeddings of a document, and passes on what providers say of their limits.

Logs:
    provider_not_noted  error: what a provider says of its limits, or that it is back, could not be written
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Final, TypeVar

from jobs.errors import AttemptError, ModelNotFound
from jobs.kinds.base import Answer, JobRequest
from jobs.kinds.chat import ChatAnswer, ChatTask
from jobs.kinds.embeddings import EmbeddingsAnswer, EmbeddingsTask
from jobs.models import Claim
from jobs.place import pool_of
from jobs.results import Usage
from jobs.settings import Settings
from jobs.storage import transitions
from jobs.storage.async_store import AsyncStore
from jobs.storage.commands import Command
from jobs.storage.transitions import AfterFault, CallTurn
from jobs.token_estimate import input_tokens, max_output_tokens
from tasks.provider.errors import deadline_passed
from tasks.provider.providers import ModelCalls
from tasks.provider.rate_limit_headers import RateLimit, RateLimits
from tasks.provider.timeouts import Timeouts

AnswerT = TypeVar("AnswerT", bound=Answer)
logger = logging.getLogger(__name__)

_OBSERVE_SECONDS: Final = 0.25  # between two reports of one target: every response has the headers
_MIN_WAIT_SECONDS: Final = 0.02  # between two questions whether a target is open
_MAX_WAIT_SECONDS: Final = 1.0


class Governor:
    """One for each worker process, on its event loop."""

    def __init__(self, store: AsyncStore, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._observed_at: dict[str, float] = {}  # by target; a provider has a limited number of models
        self._writes: set[asyncio.Task[None]] = set()  # the event loop itself holds only weak references to tasks

    async def note_fault(
        self, target: str, error: AttemptError, *, call: CallTurn | None = None, job_id: str | None = None
    ) -> AfterFault:
        """Note an error that is a fault of the provider, for all workers. ``call``, ``job_id``: see the transition."""
        assert error.fault is not None  # noqa: S101  # the caller has checked
        retry_after = error.retry_after_seconds
        if retry_after is not None:
            retry_after = min(retry_after, self._settings.retry_after_cap_seconds)
        return await self._store.run(
            transitions.note_fault(target, error.fault.value, retry_after, call=call, job_id=job_id)
        )

    async def embed(
        self, provider: ModelCalls, request: EmbeddingsTask, timeouts: Timeouts, deadline: float, lent_target: str = ""
    ) -> EmbeddingsAnswer:
        """Call ``provider.embed`` once a target of the model is open. Waits out a refusal that has closed it.

        ``deadline``: by the clock of the event loop. ``lent_target``: see begin_call. Raises AttemptError.
        """
        return await self._call(
            request, lambda target: provider.embed(request, timeouts, target), deadline, lent_target
        )

    async def chat(
        self, provider: ModelCalls, request: ChatTask, timeouts: Timeouts, deadline: float, lent_target: str = ""
    ) -> ChatAnswer:
        """The whole answer of ``provider.chat``; otherwise like ``embed``."""
        return await self._call(
            request, lambda target: _collect(provider, request, timeouts, target), deadline, lent_target
        )

    async def _call(
        self,
        request: JobRequest,
        call: Callable[[str], Awaitable[AnswerT]],
        deadline: float,
        lent_target: str,
    ) -> AnswerT:
        while True:
            turn = await self._turn(request, deadline, lent_target)
            try:
                return await self._count(turn, call(turn.target))
            except AttemptError as error:
                if error.fault is None or not turn.target:
                    raise
                after = await self.note_fault(turn.target, error, call=turn)
                if not after.closed_seconds:
                    raise

    async def _turn(self, request: JobRequest, deadline: float, lent_target: str) -> CallTurn:
        """Wait until a target is open, and count the call there. Raises DeadlineExceeded."""
        loop = asyncio.get_running_loop()
        try:
            pool = pool_of(request, self._settings)
        except ModelNotFound:
            return CallTurn(is_open=True)  # the provider's client raises the error
        tokens = input_tokens(request), max_output_tokens(request)
        while True:
            turn = await self._store.run(transitions.begin_call(pool, *tokens, lent_target))
            if turn.is_open:
                return turn
            wait_seconds = min(max(turn.wait_seconds, _MIN_WAIT_SECONDS), _MAX_WAIT_SECONDS)
            if loop.time() + wait_seconds >= deadline:
                raise deadline_passed()
            await asyncio.sleep(wait_seconds)

    async def _count(self, turn: CallTurn, call: Awaitable[AnswerT]) -> AnswerT:
        """Make the call, and count its end however it ends."""
        answer = None
        try:
            answer = await call
        finally:
            if turn.target:
                used = answer.usage.total_tokens if answer and answer.usage else None
                ended = transitions.end_call(turn, used, has_succeeded=answer is not None)
                await asyncio.shield(self._store.run(ended))
        return answer

    def observe(self, target: str, limits: RateLimits) -> None:
        """Pass on what a response says of the limits of its target, at most four times a second."""
        now = time.monotonic()
        if now - self._observed_at.get(target, float("-inf")) < _OBSERVE_SECONDS:
            return
        self._observed_at[target] = now
        requests, tokens = _per_minute(limits.requests), _per_minute(limits.tokens)
        if requests[0] is not None or tokens[0] is not None:
            self._write(
                transitions.observe_limits(
                    target,
                    requests_limit=requests[0],
                    requests_remaining=requests[1],
                    tokens_limit=tokens[0],
                    tokens_remaining=tokens[1],
                )
            )

    def note_output(self, claim: Claim) -> None:
        """The call that tries whether its provider is back has brought output: others need not wait for its end."""
        lease = claim.lease
        self._write(transitions.note_output(claim.target, lease.job_id, lease.queue))

    def _write(self, command: Command[None]) -> None:
        task = asyncio.ensure_future(self._write_or_log(command))
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)

    async def _write_or_log(self, command: Command[None]) -> None:
        try:
            await self._store.run(command)
        except Exception as error:  # noqa: BLE001  # the next response, or the end of the call, says it again
            logger.info("provider_not_noted error=%s", type(error).__name__)


async def _collect(provider: ModelCalls, request: ChatTask, timeouts: Timeouts, target: str) -> ChatAnswer:
    async with aclosing(provider.chat(request, timeouts, target)) as stream:
        deltas = [delta async for delta in stream]
    text = "".join(delta.text for delta in deltas)
    usage = next((delta.usage for delta in reversed(deltas) if delta.usage), None)
    model = next((delta.model for delta in reversed(deltas) if delta.model), None)
    finish_reason = next((delta.finish_reason for delta in reversed(deltas) if delta.finish_reason), None)
    usage = usage or Usage.estimate(request.input_chars, len(deltas))
    return ChatAnswer(text=text, model=model, usage=usage, finish_reason=finish_reason)


def _per_minute(limit: RateLimit | None) -> tuple[int | None, int | None]:
    """The limit a minute, and how much of it is left; None where there is no limit, or its period is another one."""
    per_minute = None if limit is None else limit.per_minute()
    return (None, None) if limit is None or per_minute is None else (per_minute, limit.remaining)
