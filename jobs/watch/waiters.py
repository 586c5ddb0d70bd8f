"""The two kinds of waiters of a ChangeListener: one sleeps until a change, one receives every message."""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

MAX_UNREAD: Final = 256  # unread messages of a slow follower; with more it reads the log instead


class Waiter:
    """Sleeps until there is a message; ``message`` is the last one."""

    def __init__(self) -> None:
        self.message: bytes | None = None
        self.woken = threading.Event()

    def notify(self, message: bytes | None) -> None:
        """Wake up for this message; None means that messages may have been missed."""
        if message is not None:
            self.message = message
        self.woken.set()

    def sleep(self, seconds: float, each_second: Callable[[], None] | None) -> bool:
        """True when it was woken, False when the time is up."""
        end = time.monotonic() + seconds
        while each_second is not None and end - time.monotonic() > 1:
            if self.woken.wait(1):
                return True
            each_second()
        return self.woken.wait(end - time.monotonic())


class Subscription(Waiter):
    """Receives every message, or a report that some were missed."""

    def __init__(self) -> None:
        super().__init__()
        self._messages: deque[bytes] = deque()
        self._has_missed = False

    def notify(self, message: bytes | None) -> None:
        if message is None:
            self._has_missed = True
        elif len(self._messages) < MAX_UNREAD:
            self._messages.append(message)
        else:
            self._messages.clear()
            self._has_missed = True
        self.woken.set()

    def take(self, seconds: float) -> list[bytes] | None:
        """The messages since the last call, as soon as there is one; an empty list when the time is up.

        None if some were missed: the caller must read the log. The next call returns later messages.
        """
        self.woken.wait(seconds)
        self.woken.clear()
        if self._has_missed:
            self._has_missed = False
            if self._messages:
                self.woken.set()
            return None
        return [self._messages.popleft() for _ in range(len(self._messages))]
