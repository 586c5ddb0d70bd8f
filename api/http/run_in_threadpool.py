"""Work that waits without gevent's knowing, for a disk or an object store: it must not hold up all other requests."""

from collections.abc import Callable
from typing import TypeVar

from gevent import get_hub, monkey

T = TypeVar("T")


def run_in_threadpool(function: Callable[..., T], *args: object) -> T:
    """Its answer, or what it raises. Where requests are greenlets, a thread does it; elsewhere each has one anyway."""
    if not monkey.is_module_patched("threading"):
        return function(*args)
    result: T = get_hub().threadpool.apply(function, args)
    return result
