"""The offline model's call counts, and the directives that make it misbehave."""

import json
import urllib.request
import uuid


def key() -> str:
    """A unique name under which the offline model counts the calls of one test."""
    return uuid.uuid4().hex


def directive(words: str, name: str, text: str = "hello") -> str:
    """A prompt with the directive `words`, whose calls are counted under the name."""
    return f"[[offline key={name} {words}]] {text}"


def calls(model_url: str, name: str) -> dict[str, float]:
    """The counts of this name so far: calls, open, closed_early, last_closed_early_at."""
    with urllib.request.urlopen(model_url.removesuffix("/v1") + "/offline/calls", timeout=5) as reply:
        counts = json.load(reply)["by_key"]
    return counts.get(name, {"calls": 0, "open": 0, "closed_early": 0, "last_closed_early_at": None})
