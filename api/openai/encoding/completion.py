"""A conversation as the object `chat.completion`. Pure."""

from api.openai.encoding.items import output
from api.openai.snapshot import JobSnapshot
from jobs.kinds.chat import ChatAnswer
from jobs.kinds.completion import CompletionAnswer
from jobs.results import Citation
from openai_format import completions
from openai_format.response_events import CALL_TEXTS
from openai_format.types import Item, JsonObject
from openai_format.usage import chat_usage


def completion_object(snapshot: JobSnapshot) -> JsonObject:
    """The provider's completion under the job's id; without one, a completion built from the text."""
    answer = snapshot.answer
    body = (answer.body if isinstance(answer, CompletionAnswer) else None) or {"choices": [_choice(snapshot)]}
    usage = answer.usage if answer else None
    return {
        "usage": chat_usage(usage, is_estimated=usage.estimated) if usage else None,
        **body,
        **completions.completion_head(snapshot.record.job_id, snapshot.created_at, snapshot.model),
        "metadata": snapshot.request.metadata,
    }


def _choice(snapshot: JobSnapshot) -> JsonObject:
    """The choice of a conversation that is not a chat completion, or that ended without the provider's body."""
    answer = snapshot.answer
    calls = [_tool_call(item) for item in output(snapshot) if item["type"] in CALL_TEXTS]
    reason = answer.finish_reason if answer else None
    message = completions.assistant_message(answer.text if answer else None, calls)
    if isinstance(answer, ChatAnswer) and answer.citations:
        message["annotations"] = [_annotation(citation, answer.text) for citation in answer.citations]
    return completions.choice(message, "tool_calls" if calls and reason == "stop" else reason)


def _annotation(citation: Citation, text: str) -> JsonObject:
    """A citation in the only form that a chat completion has, with our fields beside it."""
    url = f"/api/v1/documents/{citation.document_id}#page={citation.page}"
    place = {
        "start_index": 0,
        "end_index": len(text),
        "title": f"{citation.filename}, page {citation.page}",
        "url": url,
    }
    return {"type": "url_citation", "url_citation": place} | citation.model_dump()


def _tool_call(item: Item) -> JsonObject:
    """The item comes from a provider: it may lack a field."""
    if item["type"] == "custom_tool_call":
        custom = {"name": item.get("name") or "", "input": item.get("input") or ""}
        return {"id": item.get("call_id") or "", "type": "custom", "custom": custom}
    return {**completions.tool_call(item.get("call_id") or "", item.get("name") or "", item.get("arguments") or "")}
