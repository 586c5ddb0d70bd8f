"""Examples of /v1 for the OpenAPI document. A test validates each against its model."""

from typing import Any, Final

from api.schemas.examples import headers, id_parameter, named

_RESPONSE: Final = "resp_3f2b8c1d9e0a4b5c8d7e6f5a4b3c2d1e"
_COMPLETION: Final = "chatcmpl_3f2b8c1d9e0a4b5c8d7e6f5a4b3c2d1e"
_TEXT_COMPLETION: Final = "cmpl_3f2b8c1d9e0a4b5c8d7e6f5a4b3c2d1e"
_QUESTION: Final = "Why is the sky blue?"
_ANSWER: Final = "Air scatters blue light more than red."
_MODEL: Final = "gpt-5-mini"
_CREATED: Final = 1_795_255_200
_USER: Final = {"role": "user", "content": _QUESTION}

PROVIDER_HEADERS: Final = headers("x-chatqueue-provider")
RESPONSE_ID: Final = id_parameter("response_id", "Id of the response.", _RESPONSE)
COMPLETION_ID: Final = id_parameter("completion_id", "Id of the chat completion.", _COMPLETION)
TEXT_COMPLETION_ID: Final = id_parameter("completion_id", "Id of the text completion.", _TEXT_COMPLETION)
MODEL_NAME: Final = {
    "name": "name",
    "in": "path",
    "required": True,
    "description": "Name of the model.",
    "schema": {"type": "string"},
    "example": _MODEL,
}

RESPONSE_REQUESTS: Final = named(
    blocking={"model": _MODEL, "input": _QUESTION},
    background={"model": _MODEL, "input": [_USER], "background": True, "metadata": {"customer": "4711"}},
    streamed={"model": _MODEL, "input": "And at sunset?", "stream": True, "previous_response_id": _RESPONSE},
)
_QUEUED: Final[dict[str, Any]] = {
    "id": _RESPONSE,
    "object": "response",
    "created_at": _CREATED,
    "status": "queued",
    "model": _MODEL,
    "output": [],
    "error": None,
    "incomplete_details": None,
    "usage": None,
    "metadata": {},
    "background": True,
    "store": True,
    "previous_response_id": None,
}
_MESSAGE: Final = {
    "id": "msg_3f2b8c1d9e0a4b5c8d7e6f5a4b3c2d1e1",
    "type": "message",
    "status": "completed",
    "role": "assistant",
    "content": [{"type": "output_text", "text": _ANSWER, "annotations": [], "logprobs": []}],
}
_USAGE: Final = {"input_tokens": 13, "output_tokens": 21, "total_tokens": 34}
RESPONSES: Final = named(
    completed=_QUEUED | {"status": "completed", "output": [_MESSAGE], "usage": _USAGE},
    queued=_QUEUED,
)
CANCELLED: Final = _QUEUED | {"status": "cancelled"}
RESPONSE_STREAM: Final = (
    'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","sequence_number":5,'
    f'"item_id":"{_MESSAGE["id"]}","output_index":0,"content_index":0,"delta":"Air","logprobs":[]}}\n\n'
)
DELETED: Final = {"id": _RESPONSE, "object": "response.deleted", "deleted": True}
_ITEM: Final = {"id": "item_3f2b8c1d9e0a4b5c8d7e6f5a4b3c2d1e0", "type": "message", "status": "completed", **_USER}
INPUT_ITEMS: Final = {
    "object": "list",
    "data": [_ITEM],
    "first_id": _ITEM["id"],
    "last_id": _ITEM["id"],
    "has_more": False,
}

COMPACTION_REQUESTS: Final = named(
    items={"model": _MODEL, "input": [_USER, {"role": "assistant", "content": _ANSWER}]},
    previous={"model": _MODEL, "previous_response_id": _RESPONSE},
)
COMPACTED: Final = {
    "id": _RESPONSE,
    "object": "response.compaction",
    "created_at": _CREATED,
    "output": [
        _ITEM,
        {
            "id": "cmp_3f2b8c1d9e0a4b5c8d7e6f5a4b3c2d1e",
            "type": "compaction",
            "encrypted_content": "chatqueue-summary-1:VGhlIHNreSBpcyBibHVlLg==",
        },
    ],
    "usage": _USAGE,
}

COMPLETION_REQUESTS: Final = named(
    blocking={"model": _MODEL, "messages": [_USER]},
    streamed={"model": _MODEL, "messages": [_USER], "stream": True, "stream_options": {"include_usage": True}},
)
COMPLETION: Final = {
    "id": _COMPLETION,
    "object": "chat.completion",
    "created": _CREATED,
    "model": _MODEL,
    "choices": [{"index": 0, "message": {"role": "assistant", "content": _ANSWER}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 13, "completion_tokens": 21, "total_tokens": 34},
}
COMPLETION_STREAM: Final = (
    f'data: {{"id":"{_COMPLETION}","object":"chat.completion.chunk","created":{_CREATED},"model":"{_MODEL}",'
    '"choices":[{"index":0,"delta":{"content":"Air"},"logprobs":null,"finish_reason":null}]}\n\n'
    "data: [DONE]\n\n"
)

TEXT_COMPLETION_REQUESTS: Final = named(
    blocking={"model": _MODEL, "prompt": "The sky is", "max_tokens": 8},
    likelihood={"model": _MODEL, "prompt": [[791, 13180], [374]], "echo": True, "logprobs": 1, "max_tokens": 0},
    streamed={"model": _MODEL, "prompt": "The sky is", "stream": True},
)
TEXT_COMPLETION: Final = {
    "id": _TEXT_COMPLETION,
    "object": "text_completion",
    "created": _CREATED,
    "model": _MODEL,
    "choices": [{"index": 0, "text": " blue.", "logprobs": None, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}
TEXT_COMPLETION_STREAM: Final = (
    f'data: {{"id":"{_TEXT_COMPLETION}","object":"text_completion","created":{_CREATED},"model":"{_MODEL}",'
    '"choices":[{"index":0,"text":" blue","logprobs":null,"finish_reason":null}]}\n\n'
    "data: [DONE]\n\n"
)

EMBEDDINGS_REQUESTS: Final = named(
    text={"model": "text-embedding-3-small", "input": "first text"},
    many={"model": "text-embedding-3-small", "input": ["first text", "second text"], "encoding_format": "base64"},
)
EMBEDDINGS: Final = {
    "object": "list",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.25, -0.5]}],
    "model": "text-embedding-3-small",
    "usage": {"prompt_tokens": 2, "total_tokens": 2},
}

ONE_MODEL: Final = {"id": _MODEL, "object": "model", "created": 0, "owned_by": "openai"}
MODELS: Final = {"object": "list", "data": [ONE_MODEL]}
