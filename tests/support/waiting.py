"""Waits for a condition with a deadline. Tests never sleep for a fixed time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(condition: Callable[[], T], seconds: float = 15.0) -> T:
    """Poll until the condition is true and return its value. Raises AssertionError after the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"timeout after {seconds} s; last value: {value!r}")
        time.sleep(0.01)
