"""Runs blocking work, such as disk or object store access, which gevent cannot switch away from."""

from collections.abc import Callable
from typing import TypeVar

from gevent import get_hub, monkey

T = TypeVar("T")


def run_in_threadpool(function: Callable[..., T], *args: object) -> T:
    """Calls the function, in a thread if requests are greenlets. Otherwise each request has its own thread already."""
    if not monkey.is_module_patched("threading"):
        return function(*args)
    result: T = get_hub().threadpool.apply(function, args)
    return result
