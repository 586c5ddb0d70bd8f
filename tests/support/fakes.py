"""Stand-ins for objects of which a test needs only a few attributes."""

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    AnyClass: TypeAlias = Any
else:
    AnyClass = object  # a subclass of Any cannot be created with arguments in Python 3.11


def fake(**attributes: Any) -> Any:
    """An object with these attributes, typed as Any so that it can be passed for any class."""
    return SimpleNamespace(**attributes)
