"""What the offline model was asked, and the directives that make it misbehave."""

import json
import urllib.request
import uuid


def key() -> str:
    """A name under which the offline model counts one test's calls."""
    return uuid.uuid4().hex


def directive(words: str, name: str, text: str = "hello") -> str:
    """A message that makes the model do what the words say, counted under the name."""
    return f"[[offline key={name} {words}]] {text}"


def calls(model_url: str, name: str) -> dict[str, float]:
    """Calls so far under that name: calls, open, closed_early, last_closed_early_at."""
    with urllib.request.urlopen(model_url.removesuffix("/v1") + "/offline/calls", timeout=5) as reply:
        counted = json.load(reply)["by_key"]
    return counted.get(name, {"calls": 0, "open": 0, "closed_early": 0, "last_closed_early_at": None})
