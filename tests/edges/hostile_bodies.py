"""``python -m tests.edges.hostile_bodies REDIS_URL``: what bodies of 2 MB cost a web process, as JSON.

Each body is sent to an app in this process. The cost is CPU seconds, the best of three runs, and the growth of the
process's peak memory in bytes. Needs Linux, where the peak can be reset.
"""

import json
import sys
import time
from pathlib import Path
from typing import Final

from flask.testing import FlaskClient

_CHAT: Final = "/api/v1/chat/async"
_TASKS: Final = "/api/v1/tasks"
_RESPONSES: Final = "/v1/responses"
_COMPLETIONS: Final = "/v1/chat/completions"
_EMBEDDINGS: Final = "/v1/embeddings"
_TEXTS: Final = "/v1/completions"
HONEST_TEXT: Final = "honest text"
HONEST_TOKENS: Final = "honest tokens"
_KEYS: Final = b",".join(b'"k%x":1' % number for number in range(150_000))
_TURNS: Final = b",".join([b'{"role":"x","content":1,"a":1,"b":2}'] * 50_000)


def _many(item: bytes, count: int) -> bytes:
    return b"[" + b",".join([item] * count) + b"]"


def bodies() -> dict[str, tuple[str, bytes]]:
    """Path and body, by name. Those about tokens, or as many short items, are to be compared with HONEST_TOKENS."""
    text = "word " * 38_000
    return {
        HONEST_TEXT: (
            _CHAT,
            json.dumps({"message": "a", "history": [{"role": "user", "content": text}] * 10}).encode(),
        ),
        HONEST_TOKENS: (_TASKS, json.dumps({"kind": "embeddings", "input": [[1234] * 900] * 350}).encode()),
        "tokens without end": (_TASKS, b'{"kind":"embeddings","input":[' + _many(b"1", 900_000) + b"]}"),
        "tokens that are texts": (_TASKS, b'{"kind":"embeddings","input":[' + _many(b'""', 600_000) + b"]}"),
        "wrong tokens under /v1": (_EMBEDDINGS, b'{"model":"m","input":[' + _many(b'""', 600_000) + b"]}"),
        "inputs that are empty": (_TASKS, b'{"kind":"embeddings","input":' + _many(b"[]", 690_000) + b"}"),
        "turns that are numbers": (_CHAT, b'{"message":"a","history":' + _many(b"1", 1_040_000) + b"}"),
        "turns that are wrong": (_CHAT, b'{"message":"a","history":[' + _TURNS + b"]}"),
        "ids that are wrong": (_CHAT, b'{"message":"a","documents":' + _many(b'"x"', 450_000) + b"}"),
        "items that are numbers": (_RESPONSES, b'{"model":"m","input":' + _many(b"1", 1_040_000) + b"}"),
        "items that are empty": (_RESPONSES, b'{"model":"m","input":' + _many(b"{}", 690_000) + b"}"),
        "messages that are numbers": (_COMPLETIONS, b'{"model":"m","messages":' + _many(b"1", 1_040_000) + b"}"),
        "short prompts, like tokens, that end wrong": (
            _TEXTS,
            b'{"model":"m","prompt":[' + _many(b'""', 690_000)[1:-1] + b",1]}",
        ),
        "tokens that end wrong": (_TEXTS, b'{"model":"m","prompt":[' + _many(b"1", 1_040_000)[1:-1] + b',""]}'),
        "unknown fields": (_CHAT, b'{"message":"a",' + _KEYS + b"}"),
        "unknown fields of a task": (_TASKS, b'{"kind":"chat","message":"a",' + _KEYS + b"}"),
        "unknown fields of limits": (_CHAT, b'{"message":"a","limits":{' + _KEYS + b"}}"),
        "unknown fields of a turn": (
            _CHAT,
            b'{"message":"a","history":[{"role":"user","content":"a",' + _KEYS + b"}]}",
        ),
        "metadata of numbers": (_CHAT, b'{"message":"a","metadata":{' + _KEYS + b"}}"),
        "metadata under /v1": (_RESPONSES, b'{"model":"m","input":"a","metadata":{' + _KEYS + b"}}"),
        "fields of a filter": ("/api/v1/tasks/retry", b"{" + _KEYS + b"}"),
        "brackets": (_CHAT, b'{"message":' + b"[" * 900_000),
        "escapes": (_CHAT, b'{"message":"' + b"\\u0041" * 340_000 + b'"}'),
    }


def main() -> None:
    from api import create_app
    from jobs.settings import Settings

    client = create_app(Settings(REDIS_URL=sys.argv[1])).test_client()
    for path in (_CHAT, _TASKS, _RESPONSES, _COMPLETIONS, _EMBEDDINGS, _TEXTS):
        _post(client, path, b"[]")  # invalid everywhere; the schemas are built at their first use
    print(json.dumps({name: _cost(client, path, body) for name, (path, body) in bodies().items()}))  # noqa: T201


def _cost(client: FlaskClient, path: str, body: bytes) -> tuple[int, float, int]:
    runs = []
    for _ in range(3):
        Path("/proc/self/clear_refs").write_text("5")
        peak, cpu = _peak_bytes(), time.process_time()
        status = _post(client, path, body)
        runs.append((status, time.process_time() - cpu, _peak_bytes() - peak))
    return runs[0][0], min(run[1] for run in runs), max(run[2] for run in runs)


def _post(client: FlaskClient, path: str, body: bytes) -> int:
    return client.post(path, data=body, content_type="application/json").status_code


def _peak_bytes() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024


if __name__ == "__main__":
    main()
