"""The items of a response: what was put in, and what came out."""

from typing import Any, Final

from api.openai.encoding.messages_to_items import to_items
from api.openai.snapshot import JobSnapshot
from jobs.errors import InternalError
from jobs.kinds.base import TextAnswer
from jobs.kinds.chat import ChatTask
from jobs.kinds.completion import CompletionAnswer, CompletionTask
from jobs.kinds.response import ResponseAnswer, ResponseTask
from jobs.models import JobRecord
from jobs.states import State

_TYPES_WITHOUT_IDS: Final = frozenset(
    {"message", "function_call"}
)  # a provider that keeps nothing knows no id of theirs


def message_id(job_id: str, log_start: int) -> str:
    """Of the message of one attempt: the same whoever asks, and another one in another attempt."""
    return f"msg_{job_id.partition('_')[2]}{log_start:x}"


def text_part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def message_item(item_id: str, text: str | None, status: str) -> dict[str, Any]:
    """None: nothing is said yet."""
    content = [] if text is None else [text_part(text)]
    return {"id": item_id, "type": "message", "status": status, "role": "assistant", "content": content}


def output(snapshot: JobSnapshot) -> list[dict[str, Any]]:
    """What came of it: the provider's items where it spoke in items, else those of its message."""
    answer, record = snapshot.answer, snapshot.record
    if answer is None:
        return []
    if isinstance(answer, ResponseAnswer) and answer.body is not None:
        return [_fill_message(item, record, answer) for item in answer.body.get("output") or () if _is_item(item)]
    return [_with_own_id(item, record) for item in to_items([_answer_message(answer)])]


def _is_item(item: Any) -> bool:
    """Whatever a provider has put there."""
    return isinstance(item, dict) and isinstance(item.get("type"), str)


def _fill_message(item: dict[str, Any], record: JobRecord, answer: TextAnswer) -> dict[str, Any]:
    """A message without an id is ours; it says the whole text, unless it has one of its own."""
    if item["type"] != "message" or "id" in item:
        return item
    return _own_message_item(record, item.get("text", answer.text))


def _own_message_item(record: JobRecord, text: str) -> dict[str, Any]:
    return message_item(message_id(record.job_id, record.log_start), text, _status(record))


def _status(record: JobRecord) -> str:
    return "completed" if record.state is State.COMPLETED else "incomplete"


def _answer_message(answer: TextAnswer) -> dict[str, Any]:
    """That of a chat completion has more to it than the text."""
    choices = (answer.body or {}).get("choices") if isinstance(answer, CompletionAnswer) else None
    return (choices[0]["message"] if choices else {}) | {"role": "assistant", "content": answer.text}


def _with_own_id(item: dict[str, Any], record: JobRecord) -> dict[str, Any]:
    own_id = message_id(record.job_id, record.log_start)
    ids = {"function_call": f"fc_{item.get('call_id')}", "reasoning": own_id.replace("msg", "rs", 1)}
    return _with_id({"status": _status(record)} | item, ids.get(item["type"], own_id))


def input_items(snapshot: JobSnapshot) -> list[dict[str, Any]]:
    """All that the model was given to answer, the oldest first."""
    match snapshot.request:
        case ChatTask() as chat:
            return [_input_message(entry.role, entry.content) for entry in chat.history] + [
                _input_message("user", chat.message)
            ]
        case CompletionTask() as completion:
            return to_items(completion.body["messages"])
        case ResponseTask() as response:
            raw_input = response.body.get("input")
            own = [_input_message("user", raw_input)] if isinstance(raw_input, str) else list(raw_input or ())
            return [*response.previous_items, *own]
    raise InternalError(f"a job of kind {snapshot.request.kind} has no input items")


def _input_message(role: str, content: Any) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": content}


def input_items_with_ids(snapshot: JobSnapshot) -> list[dict[str, Any]]:
    """The same as a client lists them: each with an id, a text as a part."""
    stem = snapshot.record.job_id.partition("_")[2]
    return [_with_id(item, f"item_{stem}{number:x}") for number, item in enumerate(input_items(snapshot))]


def _with_id(item: dict[str, Any], item_id: str) -> dict[str, Any]:
    listed_item = {"id": item_id, "type": "message", "status": "completed"} | item
    content = listed_item.get("content")
    if isinstance(content, str):
        kind = "output_text" if listed_item.get("role") == "assistant" else "input_text"
        listed_item["content"] = [text_part(content) if kind == "output_text" else {"type": kind, "text": content}]
    return listed_item


def to_previous_items(snapshot: JobSnapshot) -> list[dict[str, Any]]:
    """What the model has to be told of this conversation when it goes on."""
    return [*input_items(snapshot), *filter(None, map(_to_input_item, output(snapshot)))]


def _to_input_item(item: dict[str, Any]) -> dict[str, Any] | None:
    """A thought can be told again only when it is in there."""
    if item["type"] == "reasoning" and not (item.get("encrypted_content") or item.get("content")):
        return None
    if item["type"] not in _TYPES_WITHOUT_IDS:
        return item
    return {name: value for name, value in item.items() if name not in ("id", "status")}
