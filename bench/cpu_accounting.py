"""CPU time and memory of process trees."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

import psutil

_SAMPLE_SECONDS: Final = 0.25
_GONE: Final = (psutil.NoSuchProcess, psutil.ZombieProcess)


def process_tree(pids: Sequence[int]) -> list[psutil.Process]:
    """The processes and their descendants that are still running."""
    processes: list[psutil.Process] = []
    for pid in pids:
        with suppress(*_GONE):
            parent = psutil.Process(pid)
            processes += [parent, *parent.children(recursive=True)]
    return processes


def cpu_seconds(pids: Sequence[int]) -> float:
    """User and system time of the process trees, including children that have ended and were waited for."""
    total = 0.0
    for process in process_tree(pids):
        with suppress(*_GONE):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def resident_mb(pids: Sequence[int]) -> float:
    """Resident memory, summed over all processes. A shared page counts once in each process."""
    total = 0
    for process in process_tree(pids):
        with suppress(*_GONE):
            total += process.memory_info().rss
    return total / 1e6


@dataclass
class ResourceUsage:
    """CPU time and peak memory by group. Complete when the block of `measure_usage` has ended."""

    cpu_seconds: dict[str, float] = field(default_factory=dict)
    peak_mb: dict[str, float] = field(default_factory=dict)

    def cpu_ms(self, name: str, units: float) -> float | None:
        """CPU milliseconds per unit; None when the group has no process."""
        spent = self.cpu_seconds.get(name)
        return None if spent is None else spent * 1000 / units


@contextmanager
def measure_usage(groups: Mapping[str, Sequence[int]]) -> Iterator[ResourceUsage]:
    """Measure each group of processes during the block. A group without processes is omitted."""
    pids_by_group = {name: list(pids) for name, pids in groups.items() if pids}
    usage = ResourceUsage()
    before = {name: cpu_seconds(pids) for name, pids in pids_by_group.items()}
    is_done = threading.Event()
    sampler = threading.Thread(target=_sample, args=(pids_by_group, usage, is_done), daemon=True)
    sampler.start()
    try:
        yield usage
    finally:
        for name, pids in pids_by_group.items():
            usage.cpu_seconds[name] = cpu_seconds(pids) - before[name]
        is_done.set()
        sampler.join()


def _sample(pids_by_group: Mapping[str, Sequence[int]], usage: ResourceUsage, is_done: threading.Event) -> None:
    while True:
        for name, pids in pids_by_group.items():
            usage.peak_mb[name] = max(usage.peak_mb.get(name, 0), resident_mb(pids))
        if is_done.wait(_SAMPLE_SECONDS):
            return
