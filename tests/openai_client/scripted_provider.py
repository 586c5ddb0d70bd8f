"""A provider that supports chat completions only and sends the chunks of its script."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.chat_provider import chat_provider


@contextmanager
def scripted(*chunks: dict[str, Any]) -> Iterator[tuple[str, list[Any]]]:
    """Yields the provider's base URL, and the request bodies it has received so far."""
    requests: list[Any] = []

    def answer(body: bytes) -> str:
        requests.append(json.loads(body))
        frames = [f"data: {json.dumps({'model': 'm', **chunk})}\n\n" for chunk in chunks]
        return "".join([*frames, "data: [DONE]\n\n"])

    with chat_provider(answer) as url:
        yield url, requests
