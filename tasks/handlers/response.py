"""An OpenAI response."""

from jobs.kinds.response import ResponseAnswer, ResponseTask
from openai_format.items import output_text_of
from tasks.handlers.base import AttemptContext
from tasks.handlers.streamed_answer import AnswerAccumulator, stream_answer


async def run(context: AttemptContext[ResponseTask]) -> ResponseAnswer:
    return await stream_answer(context, context.request, context.timeouts, build_answer)


async def build_answer(accumulator: AnswerAccumulator) -> ResponseAnswer:
    """Some providers send a response's text in its last event only."""
    fields, body = accumulator.answer_fields(), accumulator.body
    if not fields["text"] and body is not None:
        fields["text"] = output_text_of(body["output"])
    return ResponseAnswer(**fields, body=body)
