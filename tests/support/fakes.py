"""Stand-ins for objects of which a test needs only a few attributes."""

from types import SimpleNamespace
from typing import Any


def fake(**attributes: Any) -> Any:
    """An object with these attributes, typed as Any so that it can be passed for any class."""
    return SimpleNamespace(**attributes)


# The base of a fake class. Typed as Any, so that an instance can be passed for any class.
Fake: Any = object
