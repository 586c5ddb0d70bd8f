"""`chatqueue up` (`make up`): starts and stops the processes of the Procfile in order.

Other Procfile runners signal all processes simultaneously, so the broker dies before the worker has finished its jobs.

Start: check settings, ports and Redis; start each process and wait until it is ready; print the addresses. Stop, on
Ctrl-C, on SIGTERM or when a process ends: first web, whose open requests finish, then the others in reverse order of
their start. The worker thus finishes its running jobs while Redis is still up. A worker or Flower that ends after it
was ready is started again, and nothing else ends with it.
"""

import signal
import time
from pathlib import Path
from types import FrameType

from guards.file_limit import raise_file_limit
from guards.private_files import keep_new_files_private
from jobs.settings import Settings
from local import preflight
from local.banner import startup_banner
from local.child_process import Child, ProcessReaper
from local.config import load_settings
from local.ctrl_c import take_foreground
from local.errors import CannotStart
from local.flower_password import FlowerPassword
from local.output import Console
from local.procfile import PROCFILE, Entry, child_environment, read_procfile
from local.readiness import Probe, probe_for
from local.restarts import Restarts

READY_SECONDS = 30.0
_TICK_SECONDS = 0.1
_STOP_SECONDS = 10.0  # for a process without running work
_GRACE_MARGIN_SECONDS = 5.0  # beyond the grace period that web and worker grant running work
_FORCED_STOP_SECONDS = 1.0  # after a second Ctrl-C
_RESTARTED = ("worker", "flower")  # requests are accepted and answered from records while one of these is down


class StopRequested(Exception):
    """Ctrl-C, SIGTERM or SIGHUP was received. Raised at the next tick."""


class Launcher:
    """One run of a Procfile. Use it from the main thread, because it installs signal handlers."""

    def __init__(self, entries: list[Entry], settings: Settings) -> None:
        self._entries = entries
        self._settings = settings
        self._console = Console(entry.name for entry in entries)
        self._children: list[Child] = []
        self._starting: Child | None = None  # not ready yet
        self._restarts = Restarts()
        self._flower_password = FlowerPassword.make()
        self._stop_requests = 0  # a counter, not an Event: a signal handler must not take a lock

    def run(self) -> int:
        """The exit code: 0 after a clean stop on request, otherwise 1. Leaves nothing running."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        self._reaper = reaper = ProcessReaper()
        is_clean = True
        try:
            self._warn_of_open_secrets()
            self._start_all()
            for hazard in preflight.redis_hazards(self._settings):
                self._console.log(f"warning: {hazard}")
            self._console.show_plain(startup_banner(self._settings, self._flower_password.hint))
            while True:
                self._tick()
        except StopRequested:
            self._console.log("stopping: running jobs finish first; press Ctrl-C again to force")
        except CannotStart as error:
            is_clean = False
            self._console.log(str(error))
        finally:
            is_clean = self._stop_all() and is_clean
            reaper.close()
        self._console.log("stopped" if is_clean else "stopped after an error")
        return 0 if is_clean else 1

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._stop_requests += 1

    def _warn_of_open_secrets(self) -> None:
        try:
            preflight.check_secrets()
        except CannotStart as warning:
            self._console.log(str(warning))

    def _start_all(self) -> None:
        for entry in self._entries:
            probe = probe_for(entry.name, self._settings)
            self._starting = self._start(entry)
            self._await_ready(self._starting, probe)
            self._starting = None

    def _start(self, entry: Entry) -> Child:
        extra = {
            "flower": self._flower_password.environment,
            "web": {"CHATQUEUE_WEB_GRACE_SECONDS": str(_web_grace_seconds(self._settings))},
        }
        environment = {**child_environment(self._settings), **extra.get(entry.name, {})}
        child = Child(entry, environment, self._reaper, self._console.show)
        self._children.append(child)
        return child

    def _await_ready(self, child: Child, is_ready: Probe) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not is_ready():
            if time.monotonic() > deadline:
                raise CannotStart(_report(child, f"was not ready within {READY_SECONDS:.0f} s"))
            self._tick()

    def _tick(self) -> None:
        """Sleep briefly, and start processes again. Raises StopRequested, or CannotStart when a process has ended."""
        time.sleep(_TICK_SECONDS)
        if self._stop_requests:
            raise StopRequested
        for child in [child for child in self._children if child.exit_code is not None]:
            self._on_ended(child, f"exited with {_describe(child.exit_code or 0)}")
        for entry in self._restarts.due(time.monotonic()):
            self._start(entry)

    def _on_ended(self, child: Child, how: str) -> None:
        child.kill_group()
        self._children.remove(child)
        if child.name not in _RESTARTED or child is self._starting:
            raise CannotStart(_report(child, how))
        seconds = self._restarts.add(child.entry, child.started_at, time.monotonic())
        self._console.log(f"{child.name} {how}; it is started again in {seconds:g} s")

    def _stop_all(self) -> bool:
        """True if every process stopped by itself in time."""
        order = [entry.name for entry in self._entries]
        last_first = sorted(self._children, key=lambda child: order.index(child.name), reverse=True)
        web_before_all = sorted(last_first, key=lambda child: child.name != "web")
        were_clean = [self._stop(child) for child in web_before_all]
        return all(were_clean)

    def _stop(self, child: Child) -> bool:
        if child.exit_code is not None:
            child.kill_group()
            self._console.log(f"{child.name} exited with {_describe(child.exit_code)} while the others were stopping")
            return False
        is_clean = child.stop(lambda: self._stop_timeout(child.name))
        if not is_clean:
            self._console.log(f"{child.name} did not stop in time and was killed")
        return is_clean

    def _stop_timeout(self, name: str) -> float:
        """Seconds that a process may take to stop."""
        if self._stop_requests > 1:
            return _FORCED_STOP_SECONDS
        graces = {"web": _web_grace_seconds(self._settings), "worker": self._settings.grace_seconds}
        return max(_STOP_SECONDS, graces.get(name, 0) + _GRACE_MARGIN_SECONDS)


def _web_grace_seconds(settings: Settings) -> float:
    """0 unless it is set: Ctrl-C stops all web processes, so waiting readers gain nothing by waiting longer."""
    return settings.web_grace_seconds if "web_grace_seconds" in settings.model_fields_set else 0


def _report(child: Child, what: str) -> str:
    return "\n".join([f"{child.name} {what}. Last lines of its output:", *(f"  {line}" for line in child.last_lines)])


def _describe(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"code {code}"


def prepare(procfile: Path, settings: Settings) -> list[Entry]:
    """The processes to start, after the checks of ports and Redis. Raises CannotStart."""
    skipped = set()
    if not settings.has_embedded_redis:
        skipped.add("redis")
        preflight.check_redis(settings)
    if not settings.has_offline_model:
        skipped.add("model")
    preflight.check_access(settings)
    preflight.check_ports(settings)
    return [entry for entry in read_procfile(procfile) if entry.name not in skipped]


def launch(procfile: Path = PROCFILE) -> int:
    """Start everything and run until a stop is requested. Returns the exit code. Raises CannotStart."""
    settings = load_settings()
    entries = prepare(procfile, settings)
    raise_file_limit()
    keep_new_files_private()
    with take_foreground():
        return Launcher(entries, settings).run()
