"""A provider of chat completions that breaks off each answer once, in mid-stream, and repeats it when asked again.

It calls the function `weather` for the city at the end of a question, and then quotes what the function has returned.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.clients.conversation import answer
from tests.support.chat_provider import chat_provider

_CITY = re.compile(r"in (\w+)\?")


def chunks_of(request: dict[str, Any], attempt: int) -> list[dict[str, Any]]:
    """The chunks of the whole answer. The ids of calls differ from attempt to attempt, as those of a model do."""
    last = request["messages"][-1]
    if last["role"] == "tool":
        words = answer(_text(last)).split(" ")
        deltas = [{"content": word if number == 0 else f" {word}"} for number, word in enumerate(words)]
        return [*map(_chunk, deltas), _chunk({}, "stop")]
    city = _CITY.findall(_text(last))[-1]
    pieces = ['{"ci', 'ty": "', f'{city}"', "}"]
    calls: list[dict[str, Any]] = [
        {"id": f"call_{city}_{attempt}", "type": "function", "function": {"name": "weather", "arguments": ""}},
        *({"function": {"arguments": piece}} for piece in pieces),
    ]
    return [*(_chunk({"tool_calls": [{"index": 0, **call}]}) for call in calls), _chunk({}, "tool_calls")]


def _text(message: dict[str, Any]) -> str:
    content = message["content"]
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


def _chunk(delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    return {"model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}


@contextmanager
def breaking_provider() -> Iterator[tuple[str, list[bytes]]]:
    """Yields the provider's base URL, and the bodies of the requests that it has received so far."""
    bodies: list[bytes] = []

    def answer_or_break(body: bytes) -> str:
        bodies.append(body)
        attempt = bodies.count(body)
        chunks = chunks_of(json.loads(body), attempt)
        kept = chunks[: len(chunks) // 2] if attempt % 2 else chunks
        return "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in kept)

    with chat_provider(answer_or_break) as url:
        yield url, bodies
