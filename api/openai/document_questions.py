"""Chats about documents in OpenAI's format: our field `documents` makes a request a native chat.

The answer cites the documents in OpenAI's form: `file_citation` annotations in a response, and annotations of the form
`url_citation` in a chat completion, which has no other. A list of objects in `documents` is not ours: vLLM and others
accept texts in it, so it is forwarded.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from api.document_checks import check_documents
from api.openai.errors import BadParameter
from api.openai.request_schemas import CompletionBody, RequestBody, ResponseBody
from jobs.base import HIDE_INPUT
from jobs.document_tags import MAX_TAGS, Tags
from jobs.kinds.chat import MAX_DOCUMENTS, ChatTask, DocumentSelection
from jobs.requests import Message

_SELECTION: Final[TypeAdapter[DocumentSelection]] = TypeAdapter(DocumentSelection, config=HIDE_INPUT)
_TAGS: Final[TypeAdapter[tuple[str, ...]]] = TypeAdapter(Tags, config=HIDE_INPUT)
_CHAT_FIELDS: Final = {  # what a chat about documents supports, and the name of the field in the native API
    "temperature": "temperature",
    "max_tokens": "max_output_tokens",
    "max_completion_tokens": "max_output_tokens",
    "max_output_tokens": "max_output_tokens",
}
# Fields that only describe the call, or whose present value changes nothing.
_WITHOUT_EFFECT: Final[Mapping[str, Any]] = {
    "n": 1,
    "store": True,
    "truncation": "disabled",
    "tool_choice": "auto",
    "tools": [],
    "parallel_tool_calls": True,
}
_DESCRIBING: Final = frozenset(
    {
        "documents",
        "document_tags",
        "messages",
        "input",
        "instructions",
        "model",
        "metadata",
        "stream",
        "stream_options",
        "background",
    }
    | {"user", "safety_identifier", "prompt_cache_key", "service_tier"}
)
_TEXT_PARTS: Final = frozenset({"text", "input_text", "output_text"})


def completion_about_documents(body: CompletionBody) -> ChatTask | None:
    """The native chat for a completion with our `documents`; None without.

    Raises BadParameter, and what check_documents raises.
    """
    return _chat(body, body.messages, "messages") if _is_ours(body) else None


def response_about_documents(body: ResponseBody) -> ChatTask | None:
    """The native chat for a response with our `documents`; None without. Raises as completion_about_documents does."""
    if not _is_ours(body):
        return None
    items = [{"role": "user", "content": body.input}] if isinstance(body.input, str) else body.input or []
    instructions = (body.model_extra or {}).get("instructions")
    first = [{"role": "system", "content": instructions}] if instructions else []
    return _chat(body, [*first, *items], "input")


def _is_ours(body: RequestBody) -> bool:
    documents = (body.model_extra or {}).get("documents")
    if documents is None:
        return False
    return not (isinstance(documents, list) and documents and all(isinstance(part, dict) for part in documents))


def _chat(body: RequestBody, messages: Iterable[Mapping[str, Any]], param: str) -> ChatTask:
    options = _options(body)
    system, turns = _turns(messages, param)
    try:
        task = ChatTask(
            kind="chat",
            model=body.model,
            metadata=body.metadata or {},
            system="\n\n".join(system) or None,
            message=turns[-1].content,
            history=tuple(turns[:-1]),
            documents=_selection(body),
            document_tags=_tags(body),
            **options,
        )
    except ValidationError as error:
        raise _bad_parameter(error, param) from None
    check_documents(task)
    return task


def _selection(body: RequestBody) -> DocumentSelection:
    documents = (body.model_extra or {})["documents"]
    try:
        return _SELECTION.validate_python(tuple(documents) if isinstance(documents, list) else documents)
    except ValidationError:
        raise BadParameter(
            f"documents must be `all` or a list of 1 to {MAX_DOCUMENTS} ids of documents", param="documents"
        ) from None


def _tags(body: RequestBody) -> tuple[str, ...]:
    tags = (body.model_extra or {}).get("document_tags") or ()
    try:
        return _TAGS.validate_python(tuple(tags) if isinstance(tags, list) else tags)
    except ValidationError:
        raise BadParameter(f"document_tags must be a list of at most {MAX_TAGS} tags", param="document_tags") from None


def _options(body: RequestBody) -> dict[str, Any]:
    """The options of the chat. Raises BadParameter for a parameter that a chat about documents does not support."""
    options: dict[str, Any] = {}
    for name, value in body.model_dump(exclude_unset=True).items():
        if name in _DESCRIBING or value is None or (name in _WITHOUT_EFFECT and _WITHOUT_EFFECT[name] == value):
            continue
        if name not in _CHAT_FIELDS:
            raise BadParameter(f"{name} cannot be combined with documents", param=name)
        options[_CHAT_FIELDS[name]] = value
    return options


def _turns(messages: Iterable[Mapping[str, Any]], param: str) -> tuple[list[str], list[Message]]:
    """The texts of the instructions, and the messages. The last one is the user's."""
    system: list[str] = []
    turns: list[Message] = []
    for number, message in enumerate(messages):
        role, text = message.get("role"), _text_of(message, f"{param}[{number}]")
        if role in ("system", "developer"):
            system.append(text)
        elif role == "user" or (role == "assistant" and text.strip()):
            turns.append(Message.model_construct(role=role, content=text))
        elif role != "assistant":
            raise BadParameter("only messages of system, developer, user and assistant can be combined with documents",
                param=f"{param}[{number}]")  # fmt: skip
    if not turns or turns[-1].role != "user":
        raise BadParameter("the last message must be the user's question to the documents", param=param)
    return system, turns


def _text_of(message: Mapping[str, Any], param: str) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else [None]
    texts = [part.get("text") for part in parts if isinstance(part, dict) and part.get("type") in _TEXT_PARTS]
    if len(texts) < len(parts) or not all(isinstance(text, str) for text in texts):
        raise BadParameter("only text can be combined with documents", param=f"{param}.content")
    return "\n".join(map(str, texts))


def _bad_parameter(error: ValidationError, param: str) -> BadParameter:
    detail = error.errors(include_url=False, include_input=False, include_context=False)[0]
    name = str(detail["loc"][0]) if detail["loc"] else param
    return BadParameter(f"{name}: {detail['msg']}", param=param if name in ("message", "history") else name)
