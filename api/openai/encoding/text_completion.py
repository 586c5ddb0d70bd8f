"""A conversation as the object `text_completion`. Pure."""

from api.openai.snapshot import JobSnapshot
from jobs.kinds.text_completion import TextCompletionAnswer
from openai_format.text_completions import text_choice, text_completion_head
from openai_format.types import JsonObject
from openai_format.usage import chat_usage


def text_completion_object(snapshot: JobSnapshot) -> JsonObject:
    """The provider's completion under the job's id; without one, a completion built from the text."""
    answer = snapshot.answer
    body = answer.body if isinstance(answer, TextCompletionAnswer) else None
    choice = text_choice(answer.text if answer else "", answer.finish_reason if answer else None)
    usage = answer.usage if answer else None
    return {
        "usage": chat_usage(usage, is_estimated=usage.estimated) if usage else None,
        **(body or {"choices": [choice]}),
        **text_completion_head(snapshot.record.job_id, snapshot.created_at, snapshot.model),
    }
