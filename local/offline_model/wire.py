"""OpenAI's JSON, byte for byte what its clients expect. Counts of tokens are counts of words."""

import json
import math
import secrets
import time
from collections.abc import Iterator
from typing import Any

from aiohttp import web

from local.offline_model.answers import Answer
from local.offline_model.directive import Directive

DONE = b"data: [DONE]\n\n"
SYSTEM_FINGERPRINT = "fp_offline"

_TYPES = {429: "requests", 500: "server_error", 502: "server_error", 503: "server_error"}
_CODES = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}


def dumps(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def json_response(body: object, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response(body, status=status, headers={**request_id(), **(headers or {})}, dumps=dumps)


def error_response(
    status: int,
    message: str,
    *,
    param: str | None = None,
    code: str | None = None,
    headers: dict[str, str] | None = None,
) -> web.Response:
    """The body that the `openai` client turns into its error classes."""
    error = {
        "message": message,
        "type": _TYPES.get(status, "invalid_request_error"),
        "param": param,
        "code": code,
    }
    return json_response({"error": error}, status=status, headers=headers)


def directive_error(directive: Directive) -> web.Response:
    """The error that the directive's `status` orders."""
    status = directive.status or 500
    return error_response(
        status,
        f"The prompt ordered status {status} from the offline model.",
        code=directive.code or _CODES.get(status),
        headers=_retry_after(directive.retry_after_seconds),
    )


def completion(model: str, answer: Answer) -> dict[str, Any]:
    message: dict[str, Any] = {
        "role": "assistant",
        "content": answer.text,
        "refusal": None,
        "annotations": [],
    }
    if answer.calls:
        message |= {"content": None, "tool_calls": tool_calls(answer)}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": answer.finish_reason}
    return {**_head("chat.completion", model), "choices": [choice], "usage": _usage(answer)}


def tool_calls(answer: Answer) -> list[dict[str, Any]]:
    return [
        {
            "id": f"call_{secrets.token_hex(12)}",
            "type": "function",
            "function": {"name": call.name, "arguments": json.dumps(call.arguments)},
        }
        for call in answer.calls
    ]


def _call_deltas(calls: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Of each call the head, then its arguments in two halves, as a stream has them."""
    for call in calls:
        arguments = call["function"]["arguments"]
        yield call | {"function": call["function"] | {"arguments": ""}}
        for part in (arguments[: len(arguments) // 2], arguments[len(arguments) // 2 :]):
            yield {"index": call["index"], "function": {"arguments": part}}


def embeddings(model: str, vectors: list[list[float] | str], words: int) -> dict[str, Any]:
    data = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)]
    usage = {"prompt_tokens": words, "total_tokens": words}
    return {"object": "list", "data": data, "model": model, "usage": usage}


def model_card(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "chatqueue-offline"}


class ChatStreamEncoder:
    """The server-sent events of one stream. What all have in common is encoded once: tokens are many."""

    def __init__(self, model: str, *, wants_usage: bool) -> None:
        head = dumps(_head("chat.completion.chunk", model))[:-1]
        usage = ',"usage":null' if wants_usage else ""
        self._head = head
        self._wants_usage = wants_usage
        self._chunk_prefix = f'data: {head},"choices":[{{"index":0,"delta":'
        self._chunk_suffix = f',"logprobs":null,"finish_reason":null}}]{usage}}}\n\n'
        self._content_prefix = self._chunk_prefix + '{"content":'
        self._content_suffix = "}" + self._chunk_suffix

    def start(self) -> bytes:
        """The role, before any token."""
        return f'{self._chunk_prefix}{{"role":"assistant","content":"","refusal":null}}{self._chunk_suffix}'.encode()

    def encode_tokens(self, tokens: tuple[str, ...]) -> bytes:
        """One event a token."""
        return "".join(
            [f"{self._content_prefix}{json.dumps(token)}{self._content_suffix}" for token in tokens]
        ).encode()

    def end(self, answer: Answer) -> bytes:
        """The reason, the usage if it was asked for, and ``[DONE]``."""
        after = self._chunk_suffix.replace('"finish_reason":null', f'"finish_reason":"{answer.finish_reason}"')
        indexed_calls = [{"index": index, **call} for index, call in enumerate(tool_calls(answer))]
        events = [
            f'{self._chunk_prefix}{{"tool_calls":[{dumps(delta)}]}}{self._chunk_suffix}'
            for delta in _call_deltas(indexed_calls)
        ]
        events.append(f"{self._chunk_prefix}{{}}{after}")
        if self._wants_usage:
            events.append(f'data: {self._head},"choices":[],"usage":{dumps(_usage(answer))}}}\n\n')
        return "".join(events).encode() + DONE


def _head(kind: str, model: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{secrets.token_hex(12)}",
        "object": kind,
        "created": int(time.time()),
        "model": model,
        "service_tier": "default",
        "system_fingerprint": SYSTEM_FINGERPRINT,
    }


def _usage(answer: Answer) -> dict[str, Any]:
    completion_tokens = len(answer.tokens)
    return {
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": answer.prompt_tokens + completion_tokens,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _retry_after(seconds: float | None) -> dict[str, str]:
    """HTTP knows whole seconds only, so a fraction goes into OpenAI's own header as well."""
    if seconds is None:
        return {}
    headers = {"Retry-After": str(math.ceil(seconds))}
    if not seconds.is_integer():
        headers["retry-after-ms"] = f"{seconds * 1000:.0f}"
    return headers


def request_id() -> dict[str, str]:
    return {"x-request-id": f"req_{secrets.token_hex(12)}"}
