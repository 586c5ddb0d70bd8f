"""An OpenAI chat completion."""

from jobs.kinds.completion import CompletionAnswer, CompletionTask
from tasks.handlers.base import AttemptContext
from tasks.handlers.streamed_answer import AnswerAccumulator, stream_answer


async def run(context: AttemptContext[CompletionTask]) -> CompletionAnswer:
    return await stream_answer(context, context.request, context.timeouts, _build_answer)


async def _build_answer(accumulator: AnswerAccumulator) -> CompletionAnswer:
    return CompletionAnswer(**accumulator.answer_fields(), body=accumulator.body)
