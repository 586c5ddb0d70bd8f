"""Stand-ins for objects of which a test needs only a few attributes."""

from types import SimpleNamespace
from typing import Any

# The base of a fake class: typed as Any, so that an instance can be passed for any class. A real subclass of Any
# cannot be created with arguments in Python 3.11.
Fake: Any = object


def fake(**attributes: Any) -> Any:
    """An object with these attributes, typed as Any so that it can be passed for any class."""
    return SimpleNamespace(**attributes)
