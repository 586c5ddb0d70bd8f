"""What processes cost: CPU time and memory of whole process trees."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

import psutil

_SAMPLE_SECONDS: Final = 0.25
_GONE: Final = (psutil.NoSuchProcess, psutil.ZombieProcess)


def family(pids: Sequence[int]) -> list[psutil.Process]:
    """The processes and all that descend from them, as far as they still live."""
    found: list[psutil.Process] = []
    for pid in pids:
        with suppress(*_GONE):
            parent = psutil.Process(pid)
            found += [parent, *parent.children(recursive=True)]
    return found


def cpu_seconds(pids: Sequence[int]) -> float:
    """User and system time, that of children which have ended and were waited for included."""
    total = 0.0
    for process in family(pids):
        with suppress(*_GONE):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def resident_mb(pids: Sequence[int]) -> float:
    """The sum over all processes: pages that they share count in each."""
    total = 0
    for process in family(pids):
        with suppress(*_GONE):
            total += process.memory_info().rss
    return total / 1e6


@dataclass
class Bill:
    """Filled in when the block of `billed` ends."""

    cpu_seconds: dict[str, float] = field(default_factory=dict)
    peak_mb: dict[str, float] = field(default_factory=dict)

    def cpu_ms(self, name: str, units: float) -> float | None:
        """CPU time a unit; None when there is no such process."""
        spent = self.cpu_seconds.get(name)
        return None if spent is None else spent * 1000 / units


@contextmanager
def billed(groups: Mapping[str, Sequence[int]]) -> Iterator[Bill]:
    """What each group of processes spends during the block. A group without processes is left out."""
    watched = {name: list(pids) for name, pids in groups.items() if pids}
    bill = Bill()
    before = {name: cpu_seconds(pids) for name, pids in watched.items()}
    is_over = threading.Event()
    sampler = threading.Thread(target=_sample, args=(watched, bill, is_over), daemon=True)
    sampler.start()
    try:
        yield bill
    finally:
        for name, pids in watched.items():
            bill.cpu_seconds[name] = cpu_seconds(pids) - before[name]
        is_over.set()
        sampler.join()


def _sample(watched: Mapping[str, Sequence[int]], bill: Bill, is_over: threading.Event) -> None:
    while True:
        for name, pids in watched.items():
            bill.peak_mb[name] = max(bill.peak_mb.get(name, 0), resident_mb(pids))
        if is_over.wait(_SAMPLE_SECONDS):
            return
