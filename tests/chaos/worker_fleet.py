"""Worker processes that are killed, frozen and stopped, and the supervisor that replaces them."""

import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil

from tests.support.processes import PROJECT_ROOT, Process

READY_SECONDS = 60.0


class Worker:
    """One ``celery -A tasks worker`` in its own process group."""

    def __init__(self, pool: str, slots: int, env: Mapping[str, str], name: str, folder: Path) -> None:
        self.slots = slots
        args = [sys.executable, "-m", "celery", "-A", "tasks", "worker", "--loglevel", "INFO"]
        args += ["-c", str(slots), "-n", f"{name}@%h", "--without-mingle", "--without-gossip"]
        args += [] if pool == "asyncio" else ["-P", pool]
        self.process = Process(args, env, folder)

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def is_running(self) -> bool:
        return self.process.returncode is None

    def wait_until_ready(self) -> None:
        """Raises AssertionError, with the output, after READY_SECONDS."""
        self.process.wait_for(" ready.", READY_SECONDS)

    def signal_all(self, number: int) -> None:
        """Send a signal to the process and its children."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def signal_main(self, number: int) -> None:
        """Send a signal to the main process only."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def children(self) -> list[int]:
        """The process ids of all descendants."""
        with suppress(psutil.NoSuchProcess):
            return [child.pid for child in psutil.Process(self.pid).children(recursive=True)]
        return []


class WorkerFleet:
    """Workers of one pool. A change of ``env`` or ``folder`` applies to workers that are started later."""

    def __init__(self, pool: str, env: Mapping[str, str]) -> None:
        self.pool = pool
        self.env = dict(env)
        self.folder = PROJECT_ROOT  # of the code that the workers run
        self.workers: list[Worker] = []
        self.ended: list[Worker] = []
        self._names = 0
        self._supervisor: threading.Thread | None = None
        self._closed = threading.Event()

    @property
    def slots(self) -> int:
        return sum(worker.slots for worker in self.workers)

    def start(self, count: int, slots: int, **env: str) -> list[Worker]:
        """Start workers. Returns when they are ready."""
        started = [self.add(slots, **env) for _ in range(count)]
        for worker in started:
            worker.wait_until_ready()
        return started

    def add(self, slots: int, **env: str) -> Worker:
        """Start one worker without waiting for it."""
        self._names += 1
        worker = Worker(self.pool, slots, {**self.env, **env}, f"chaos{self._names}", self.folder)
        self.workers.append(worker)
        return worker

    def kill(self, worker: Worker) -> None:
        """Send SIGKILL to the main process only, as the kernel does when memory is short.

        Prefork's children are its slots, so they are killed too. A quarantine process is not.
        """
        if self.pool == "prefork":
            worker.signal_all(signal.SIGKILL)
        else:
            worker.signal_main(signal.SIGKILL)
        self.retire(worker)

    def replace(self, worker: Worker) -> Worker:
        """Kill the worker and start another one."""
        self.kill(worker)
        return self.add(worker.slots)

    def retire(self, worker: Worker) -> None:
        """Remove a worker that ends from the fleet. Its log is kept."""
        if worker in self.workers:
            self.workers.remove(worker)
        self.ended.append(worker)

    def restart_ended(self) -> None:
        """From now on replace each worker that ends by itself, as a supervisor does."""
        self._supervisor = threading.Thread(target=self._supervise, daemon=True)
        self._supervisor.start()

    def wait_until_ready(self) -> None:
        for worker in list(self.workers):
            worker.wait_until_ready()

    def close(self) -> None:
        self._closed.set()
        if self._supervisor is not None:
            self._supervisor.join()
        for worker in list(self.workers):
            self.retire(worker)
        for worker in self.ended:
            worker.signal_all(signal.SIGKILL)
        for worker in self.ended:
            worker.process.wait()
            worker.process.stop()

    def _supervise(self) -> None:
        while not self._closed.is_set():
            for worker in [worker for worker in self.workers if not worker.is_running]:
                self.retire(worker)
                self.add(worker.slots)
            time.sleep(0.2)
