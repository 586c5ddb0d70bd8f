"""Chat completions, errors and embeddings in the format that OpenAI's clients expect. A word counts as a token."""

import json
import math
import secrets
import time
from collections.abc import Iterator

from aiohttp import web

from local.offline_model.answers import Answer
from local.offline_model.directive import Directive
from local.offline_model.framing import DONE
from local.offline_model.logprobs import chat_logprobs
from openai_format import completions
from openai_format.types import JsonObject
from openai_format.usage import chat_usage

SYSTEM_FINGERPRINT = "fp_offline"

_CONTENT = "\0token"  # placeholder of a token in the template of a chunk

_LATE_ERROR_STATUS = 500
_TYPES = {429: "requests", 500: "server_error", 502: "server_error", 503: "server_error"}
_CODES = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}


dumps = json.JSONEncoder(separators=(",", ":")).encode


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
    return json_response(error_body(status, message, param, code), status=status, headers=headers)


def error_body(status: int, message: str, param: str | None = None, code: str | None = None) -> JsonObject:
    kind = _TYPES.get(status, "invalid_request_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def directive_error(directive: Directive) -> web.Response:
    """The error with the directive's `status`."""
    status = directive.status or 500
    return error_response(
        status,
        f"The prompt requested status {status} from the offline model.",
        code=directive.code or _CODES.get(status),
        headers=_retry_after(directive.retry_after_seconds),
    )


def late_error(directive: Directive) -> JsonObject:
    """The error that comes in an answer with status 200. A requested code stands alone, without a type."""
    message = "The prompt requested an error in the answer of the offline model."
    body = error_body(_LATE_ERROR_STATUS, message, code=directive.code or "server_error")
    return {"error": body["error"] | {"type": None}} if directive.code else body


def completion(model: str, answer: Answer) -> JsonObject:
    choices = [_choice(answer, number) for number in range(answer.choices)]
    return {**_head(model), "choices": choices, "usage": usage_object(answer)}


def _choice(answer: Answer, number: int) -> JsonObject:
    message = completions.assistant_message(None if answer.calls else answer.text, _tool_calls(answer))
    choice = completions.choice(message | {"annotations": []}, answer.finish_reason, number)
    return choice | {"logprobs": _logprobs(answer.tokens, answer.top_logprobs)}


def _logprobs(tokens: tuple[str, ...], top: int | None) -> JsonObject | None:
    """None if no log-probabilities are requested, or for a function call, which has no tokens."""
    return None if top is None or not tokens else chat_logprobs(tokens, top)


def _tool_calls(answer: Answer) -> list[JsonObject]:
    return [
        {**completions.tool_call(f"call_{secrets.token_hex(12)}", call.name, json.dumps(call.arguments))}
        for call in answer.calls
    ]


def _call_deltas(answer: Answer) -> Iterator[JsonObject]:
    """The deltas of each call: its id and name, then its arguments in two halves."""
    for index, call in enumerate(_tool_calls(answer)):
        arguments = call["function"]["arguments"]
        yield {"index": index, **call, "function": call["function"] | {"arguments": ""}}
        for part in (arguments[: len(arguments) // 2], arguments[len(arguments) // 2 :]):
            yield {"index": index, "function": {"arguments": part}}


def embeddings(model: str, vectors: list[list[float] | str], words: int) -> JsonObject:
    data = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)]
    usage = {"prompt_tokens": words, "total_tokens": words}
    return {"object": "list", "data": data, "model": model, "usage": usage}


def model_card(name: str) -> JsonObject:
    return {"id": name, "object": "model", "created": 0, "owned_by": "chatqueue-offline"}


class ChatStreamEncoder:
    """The server-sent events of one stream. The fields that all chunks share are encoded once, for speed."""

    def __init__(
        self, model: str, *, wants_usage: bool = False, choices: int = 1, top_logprobs: int | None = None
    ) -> None:
        self._head = _head(model, is_chunk=True)
        self._wants_usage = wants_usage
        self._choices = range(choices)
        self._top_logprobs = top_logprobs
        content = self._chunk(completions.chunk_choice({"content": _CONTENT}))
        self._content_prefix, _, self._content_suffix = content.rpartition(dumps(_CONTENT))

    def start(self) -> bytes:
        """The role of each choice, before any token."""
        role = completions.assistant_message("")
        return "".join(self._chunk(completions.chunk_choice(role, None, number)) for number in self._choices).encode()

    def encode_tokens(self, tokens: tuple[str, ...]) -> bytes:
        """One event per token and choice."""
        if len(self._choices) > 1 or self._top_logprobs is not None:
            return "".join(self._token(token, number) for token in tokens for number in self._choices).encode()
        return "".join(
            [f"{self._content_prefix}{json.dumps(token)}{self._content_suffix}" for token in tokens]
        ).encode()

    def end(self, answer: Answer) -> bytes:
        """The calls, the finish reasons, the usage if it was requested, and ``[DONE]``."""
        choices = []
        for number in self._choices:
            choices += [
                completions.chunk_choice({"tool_calls": [delta]}, None, number) for delta in _call_deltas(answer)
            ]
            choices.append(completions.chunk_choice({}, answer.finish_reason, number))
        chunks = "".join(map(self._chunk, choices))
        if self._wants_usage:
            chunks += event({**self._head, "choices": [], "usage": usage_object(answer)})
        return chunks.encode() + DONE

    def _token(self, token: str, number: int) -> str:
        choice = completions.chunk_choice({"content": token}, None, number)
        return self._chunk(choice | {"logprobs": _logprobs((token,), self._top_logprobs)})

    def _chunk(self, choice: JsonObject) -> str:
        usage = {"usage": None} if self._wants_usage else {}
        return event({**self._head, "choices": [choice], **usage})


def event(data: JsonObject) -> str:
    return f"data: {dumps(data)}\n\n"


def _head(model: str, *, is_chunk: bool = False) -> JsonObject:
    completion_id = f"chatcmpl-{secrets.token_hex(12)}"
    head = completions.completion_head(completion_id, int(time.time()), model, is_chunk=is_chunk)
    return head | {"service_tier": "default", "system_fingerprint": SYSTEM_FINGERPRINT}


def usage_object(answer: Answer) -> JsonObject:
    return {
        **chat_usage(answer.counts),
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _retry_after(seconds: float | None) -> dict[str, str]:
    """Retry-After has whole seconds only, so a fraction is also sent in OpenAI's own header."""
    if seconds is None:
        return {}
    headers = {"Retry-After": str(math.ceil(seconds))}
    if not seconds.is_integer():
        headers["retry-after-ms"] = f"{seconds * 1000:.0f}"
    return headers


def request_id() -> dict[str, str]:
    return {"x-request-id": f"req_{secrets.token_hex(12)}"}
