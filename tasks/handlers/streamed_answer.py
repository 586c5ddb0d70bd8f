"""Streams and accumulates an answer, for every kind of conversation."""

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from jobs.kinds.base import Conversation, TextAnswer
from tasks.handlers.base import AttemptContext
from tasks.handlers.event_writer import EventWriter
from tasks.provider.formats.delta import Delta
from tasks.provider.timeouts import Timeouts

AnswerT = TypeVar("AnswerT", bound=TextAnswer)


@dataclass
class AnswerAccumulator:
    """The parts of a streamed answer that have been received."""

    writer: EventWriter
    finish_reason: str | None = None
    model: str | None = None
    body: dict[str, Any] | None = field(default=None, repr=False)

    def add(self, delta: Delta) -> None:
        self.writer.add(delta)
        self.body = delta.body or self.body
        self.finish_reason = delta.finish_reason or self.finish_reason
        self.model = delta.model or self.model

    def answer_fields(self) -> dict[str, Any]:
        """The fields that all text answers have."""
        return {
            "text": self.writer.text,
            "model": self.model,
            "finish_reason": self.finish_reason,
            "usage": self.writer.usage,
        }


async def stream_answer(
    context: AttemptContext[Any],
    request: Conversation,
    timeouts: Timeouts,
    build_answer: Callable[[AnswerAccumulator], Awaitable[AnswerT]],
    appendix: str = "",
) -> AnswerT:
    """Stream the provider's answer into the event log, and return it. Raises AttemptError.

    ``build_answer`` also builds the partial answer of an attempt that fails. ``appendix``: text after the provider's.
    """
    context.writer.input_chars = request.input_chars
    accumulator = AnswerAccumulator(context.writer)
    context.build_partial = partial(build_answer, accumulator)
    try:
        async with aclosing(context.provider.chat(request, timeouts, context.claim.target)) as deltas:
            async for delta in deltas:
                accumulator.add(delta)
                context.note_output()
        accumulator.add(Delta(text=appendix))
    finally:
        await context.writer.close()
    context.running_attempt.finish_despite_drain()
    return await build_answer(accumulator)
