"""A text completion."""

from jobs.kinds.text_completion import TextCompletionAnswer, TextCompletionTask
from tasks.handlers.base import AttemptContext
from tasks.handlers.streamed_answer import AnswerAccumulator, stream_answer


async def run(context: AttemptContext[TextCompletionTask]) -> TextCompletionAnswer:
    return await stream_answer(context, context.request, context.timeouts, _build_answer)


async def _build_answer(accumulator: AnswerAccumulator) -> TextCompletionAnswer:
    return TextCompletionAnswer(**accumulator.answer_fields(), body=accumulator.body)
