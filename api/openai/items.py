"""The items of a response: what was put in, and what came out."""

from collections.abc import Iterator
from typing import Any, Final

from api.openai.seen import Seen
from jobs.answers import CompletionAnswer, ResponseAnswer, TextAnswer
from jobs.models import JobRecord
from jobs.requests import ChatTask, CompletionTask, ResponseTask
from jobs.states import State

_STRIPPED: Final = frozenset({"message", "function_call"})  # a provider that keeps nothing knows no id of theirs


def message_id(job_id: str, log_start: int) -> str:
    """Of the message of one attempt: the same whoever asks, and another one in another attempt."""
    return f"msg_{job_id.partition('_')[2]}{log_start:x}"


def text_part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def message(item_id: str, text: str | None, status: str) -> dict[str, Any]:
    """None: nothing is said yet."""
    content = [] if text is None else [text_part(text)]
    return {"id": item_id, "type": "message", "status": status, "role": "assistant", "content": content}


def output(seen: Seen) -> list[dict[str, Any]]:
    """What came of it: the provider's items where it spoke in items, else a message and its calls."""
    answer, record = seen.answer, seen.record
    if answer is None:
        return []
    if isinstance(answer, ResponseAnswer) and answer.body is not None:
        return [_filled(item, record, answer) for item in answer.body.get("output", ())]
    items = [_own_message(record, answer.text)] if answer.text else []
    return [*items, *_calls(answer)]


def _filled(item: dict[str, Any], record: JobRecord, answer: TextAnswer) -> dict[str, Any]:
    """A message without an id is ours; it says the whole text, unless it has one of its own."""
    if item["type"] != "message" or "id" in item:
        return item
    return _own_message(record, item.get("text", answer.text))


def _own_message(record: JobRecord, text: str) -> dict[str, Any]:
    status = "completed" if record.state is State.COMPLETED else "incomplete"
    return message(message_id(record.job_id, record.log_start), text, status)


def _calls(answer: TextAnswer) -> Iterator[dict[str, Any]]:
    """Of a chat completion that is looked at as a response."""
    body = answer.body if isinstance(answer, CompletionAnswer) else None
    for choice in (body or {}).get("choices", [])[:1]:
        for call in choice["message"].get("tool_calls") or ():
            called = {"call_id": call["id"], **call.get("function", {})}
            yield {"id": f"fc_{call['id']}", "type": "function_call", "status": "completed", **called}


def given(seen: Seen) -> list[dict[str, Any]]:
    """All that the model was given to answer, the oldest first."""
    match seen.request:
        case ChatTask() as chat:
            return [_said(turn.role, turn.content) for turn in chat.history] + [_said("user", chat.message)]
        case CompletionTask() as completion:
            return [_said(one.get("role", "user"), one.get("content") or "") for one in completion.body["messages"]]
        case ResponseTask() as response:
            put_in = response.body.get("input")
            own = [_said("user", put_in)] if isinstance(put_in, str) else list(put_in or ())
            return [*response.earlier, *own]


def _said(role: str, content: Any) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": content}


def listed(seen: Seen) -> list[dict[str, Any]]:
    """The same as a client lists them: each with an id, a text as a part."""
    stem = seen.record.job_id.partition("_")[2]
    return [_listed(item, f"item_{stem}{number:x}") for number, item in enumerate(given(seen))]


def _listed(item: dict[str, Any], item_id: str) -> dict[str, Any]:
    shown = {"id": item_id, "type": "message", "status": "completed"} | item
    content = shown.get("content")
    if isinstance(content, str):
        kind = "output_text" if shown.get("role") == "assistant" else "input_text"
        shown["content"] = [text_part(content) if kind == "output_text" else {"type": kind, "text": content}]
    return shown


def as_earlier(seen: Seen) -> list[dict[str, Any]]:
    """What the model has to be told of this conversation when it goes on."""
    return [*given(seen), *filter(None, map(_retold, output(seen)))]


def _retold(item: dict[str, Any]) -> dict[str, Any] | None:
    """A thought can be told again only when it is in there."""
    if item["type"] == "reasoning" and not (item.get("encrypted_content") or item.get("content")):
        return None
    if item["type"] not in _STRIPPED:
        return item
    return {name: value for name, value in item.items() if name not in ("id", "status")}
