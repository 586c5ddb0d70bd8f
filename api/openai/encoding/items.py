"""The input and output items of a conversation."""

from typing import Any, Final

from api.openai.snapshot import JobSnapshot
from jobs.errors import InternalError
from jobs.kinds.base import Conversation, PassthroughRequest, TextAnswer
from jobs.kinds.chat import ChatAnswer, ChatTask
from jobs.kinds.completion import CompletionAnswer, CompletionTask
from jobs.kinds.response import ResponseAnswer, ResponseTask
from jobs.kinds.text_completion import TextCompletionTask
from jobs.models import JobRecord
from jobs.requests import StreamOptions
from jobs.states import State
from openai_format.items import (
    input_items as openai_input_items,
)
from openai_format.items import (
    input_message,
    is_valid_item,
    message_item,
    output_text_part,
    with_text_as_part,
)
from openai_format.messages import to_items
from openai_format.types import Item, ItemStatus, JsonObject

FIRST_LOG_START: Final = 1  # length of the log after the claim of the first attempt
# The ids of these items are left out of a follow-up request, because a provider that stores nothing rejects them.
_TYPES_WITHOUT_IDS: Final = frozenset({"message", "function_call", "custom_tool_call"})


def message_id(job_id: str, log_start: int = FIRST_LOG_START) -> str:
    """The id of the message around a text that has none: the same for every reader and attempt.

    ``log_start`` makes it the id of one attempt's message.
    """
    return f"msg_{job_id.partition('_')[2]}{log_start:x}"


def stream_options(request: Conversation) -> StreamOptions:
    options = request.stream_options if isinstance(request, PassthroughRequest) else None
    return options or StreamOptions()


def _own_message_id(snapshot: JobSnapshot) -> str:
    has_attempts = stream_options(snapshot.request).include_restarts
    return message_id(snapshot.record.job_id, snapshot.record.log_start if has_attempts else FIRST_LOG_START)


def output(snapshot: JobSnapshot) -> list[JsonObject]:
    """The provider's items if it sent any, else the items made from the answer's message."""
    answer = snapshot.answer
    if answer is None:
        return []
    if isinstance(answer, ResponseAnswer) and answer.body is not None:
        items = filter(is_valid_item, answer.body.get("output") or ())
        return [_with_text(item, snapshot, answer) for item in items]
    own_items = [_with_own_id(item, snapshot) for item in to_items([_answer_message(answer)])]
    return [_with_file_citations(item, answer) for item in own_items] if isinstance(answer, ChatAnswer) else own_items


def _with_file_citations(item: JsonObject, answer: ChatAnswer) -> JsonObject:
    """The message with the citations of documents as annotations of its text, in OpenAI's form and with our fields."""
    annotations = [
        {"type": "file_citation", "file_id": citation.document_id, "index": len(answer.text)} | citation.model_dump()
        for citation in answer.citations or ()
    ]
    if not annotations or item["type"] != "message":
        return item
    first, *others = item["content"]
    return item | {"content": [first | {"annotations": annotations}, *others]}


def _with_text(item: JsonObject, snapshot: JobSnapshot, answer: TextAnswer) -> JsonObject:
    """Completes a message without an id, which is one of ours. Its text is its own, or else the answer's whole text."""
    if item["type"] != "message" or "id" in item:
        return item
    part = output_text_part(item.get("text", answer.text))
    return {**message_item(_own_message_id(snapshot), [part], _status(snapshot.record))}


def _status(record: JobRecord) -> ItemStatus:
    return "completed" if record.state is State.COMPLETED else "incomplete"


def _answer_message(answer: TextAnswer) -> JsonObject:
    """The message of a chat completion may hold more than the text, such as calls or a refusal."""
    choices = (answer.body or {}).get("choices") if isinstance(answer, CompletionAnswer) else None
    return (choices[0]["message"] if choices else {}) | {"role": "assistant", "content": answer.text}


def _with_own_id(item: JsonObject, snapshot: JobSnapshot) -> JsonObject:
    own_id = _own_message_id(snapshot)
    call_id = item.get("call_id")
    ids = {
        "function_call": f"fc_{call_id}",
        "custom_tool_call": f"ctc_{call_id}",
        "reasoning": own_id.replace("msg", "rs", 1),
    }
    return _with_id({"status": _status(snapshot.record)} | item, ids.get(item["type"], own_id))


def input_items(snapshot: JobSnapshot) -> list[JsonObject]:
    """All input items of the model, oldest first."""
    match snapshot.request:
        case ChatTask() as chat:
            history = [input_message(message.role, message.content) for message in chat.history]
            return [*history, input_message("user", chat.message)]
        case CompletionTask() as completion:
            return to_items(completion.body["messages"])
        case ResponseTask() as response:
            return [*response.previous_items, *openai_input_items(response.body.get("input"))]
        case TextCompletionTask() as completion:
            return [input_message("user", text) for text in completion.texts()]
    raise InternalError(f"a job of kind {snapshot.request.kind} has no input items")


def input_items_with_ids(snapshot: JobSnapshot) -> list[JsonObject]:
    """The input items in the form that a client lists: each has an id, and plain text is a list with one part."""
    stem = snapshot.record.job_id.partition("_")[2]
    return [_with_id(item, f"item_{stem}{number:x}") for number, item in enumerate(input_items(snapshot))]


def _with_id(item: JsonObject, item_id: str) -> JsonObject:
    return with_text_as_part({"id": item_id, "type": "message", "status": "completed"} | item)


def to_previous_items(snapshot: JobSnapshot) -> list[JsonObject]:
    """The items that a follow-up request must send before its own input."""
    return [*input_items(snapshot), *filter(None, map(to_input_item, output(snapshot)))]


def to_input_item(item: Item) -> JsonObject | None:
    """An output item in the form of an input item. None for a reasoning item without content, which has no use."""
    if item["type"] == "reasoning" and not (item.get("encrypted_content") or item.get("content")):
        return None
    left_out = ("id", "status") if item["type"] in _TYPES_WITHOUT_IDS else ()
    return without_file_citations({name: value for name, value in item.items() if name not in left_out})


def without_file_citations(item: JsonObject) -> JsonObject:
    """The item without our citations: the provider does not know these documents, and may reject our fields."""
    if not isinstance(content := item.get("content"), list):
        return item
    return item | {"content": [_without_citations_of_part(part) for part in content]}


def _without_citations_of_part(part: Any) -> Any:
    annotations = part.get("annotations") if isinstance(part, dict) else None
    if not isinstance(annotations, list) or not annotations:
        return part
    return part | {"annotations": [one for one in annotations if not (isinstance(one, dict) and "document_id" in one)]}
