"""When a process that has ended is started again: after a wait that grows while it keeps ending."""

from typing import Final

from local.procfile import Entry

_WAITS_SECONDS: Final = (1.0, 2.0, 5.0, 10.0, 30.0)  # the last one repeats
_STABLE_SECONDS: Final = 60.0  # a process that has run for longer starts with the first wait again


class Restarts:
    """The processes that wait for their next start. Pure: the caller passes the time, in seconds."""

    def __init__(self) -> None:
        self._ends: dict[str, int] = {}  # ends in a row, by name
        self._waiting: list[tuple[float, Entry]] = []

    def add(self, entry: Entry, started_at: float, now: float) -> float:
        """Plan the next start of a process that has ended. Returns the wait in seconds."""
        ends = 0 if now - started_at > _STABLE_SECONDS else self._ends.get(entry.name, 0)
        self._ends[entry.name] = ends + 1
        seconds = _WAITS_SECONDS[min(ends, len(_WAITS_SECONDS) - 1)]
        self._waiting.append((now + seconds, entry))
        return seconds

    def due(self, now: float) -> list[Entry]:
        """The processes to start now."""
        entries = [entry for at, entry in self._waiting if at <= now]
        self._waiting = [(at, entry) for at, entry in self._waiting if at > now]
        return entries
