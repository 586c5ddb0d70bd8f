"""``python -m local.launcher``, which is `make up`: the Procfile's processes, started and stopped in order.

Other Procfile runners signal everything at once, so the broker dies before the worker has finished its jobs.

Its life: check settings, ports and Redis; start each process and await it; say where things are; watch. On
Ctrl-C, on SIGTERM, or when a process ends: stop web (open requests finish), then the others from the last started
to the first, so that the worker finishes its running jobs while Redis is still there.
"""

import argparse
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

from jobs.settings import PROJECT_ROOT, Settings
from local import preflight
from local.banner import welcome
from local.child import Child, Guard
from local.config import load_settings
from local.console import Console
from local.errors import CannotStart
from local.file_limit import raise_file_limit
from local.procfile import Entry, read_procfile
from local.readiness import Probe, probe_for
from local.terminal import own_foreground

READY_SECONDS = 30.0
_TICK_SECONDS = 0.1
_STOP_SECONDS = 10.0  # for a process that has nothing to finish
_EXTRA_SECONDS = 5.0  # beyond the grace that web and worker give to what runs
_HURRIED_SECONDS = 1.0  # after a second Ctrl-C
_FINISHING = ("web", "worker")


class StopAsked(Exception):
    """Ctrl-C or SIGTERM, met at the next tick."""


class Launcher:
    """One run of a Procfile. Use it from the main thread: it handles the signals."""

    def __init__(self, entries: list[Entry], settings: Settings) -> None:
        self._entries = entries
        self._settings = settings
        self._console = Console(entry.name for entry in entries)
        self._children: list[Child] = []
        self._asked_to_stop = 0  # times; a number and no Event, whose lock a handler must not take

    def run(self) -> int:
        """0 after a clean stop that was asked for, else 1. Leaves nothing running."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        guard = Guard()
        is_clean = True
        try:
            self._start_all(guard)
            self._console.show_plain(welcome(self._settings))
            while True:
                self._tick()
        except StopAsked:
            self._console.say("stopping: running jobs finish first; Ctrl-C again hurries")
        except CannotStart as error:
            is_clean = False
            self._console.say(str(error))
        finally:
            is_clean = self._stop_all() and is_clean
            guard.dismiss()
        self._console.say("stopped" if is_clean else "stopped, after an error")
        return 0 if is_clean else 1

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._asked_to_stop += 1

    def _start_all(self, guard: Guard) -> None:
        env = child_environment(self._settings)
        for entry in self._entries:
            probe = probe_for(entry.name, self._settings)
            child = Child(entry, env, guard, self._console.show)
            self._children.append(child)
            self._await_ready(child, probe)

    def _await_ready(self, child: Child, is_ready: Probe) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not is_ready():
            if time.monotonic() > deadline:
                raise CannotStart(_report(child, f"was not ready within {READY_SECONDS:.0f} s"))
            self._tick()

    def _tick(self) -> None:
        """Let a moment pass. Raises when there is a reason to stop."""
        time.sleep(_TICK_SECONDS)
        if self._asked_to_stop:
            raise StopAsked
        for child in self._children:
            if child.exit_code is not None:
                child.clear_away()
                self._children.remove(child)
                raise CannotStart(_report(child, f"ended with {_describe(child.exit_code)}"))

    def _stop_all(self) -> bool:
        """True if each ended by itself within its bound."""
        last_started_first = self._children[::-1]
        web_before_all = sorted(last_started_first, key=lambda child: child.name != "web")
        were_clean = [self._stop(child) for child in web_before_all]
        return all(were_clean)

    def _stop(self, child: Child) -> bool:
        if child.exit_code is not None:
            child.clear_away()
            self._console.say(f"{child.name} had ended before its turn with {_describe(child.exit_code)}")
            return False
        is_clean = child.stop(lambda: self._bound(child.name))
        if not is_clean:
            self._console.say(f"{child.name} did not stop in time and was killed")
        return is_clean

    def _bound(self, name: str) -> float:
        """Seconds that it may take to stop."""
        if self._asked_to_stop > 1:
            return _HURRIED_SECONDS
        return self._settings.grace_seconds + _EXTRA_SECONDS if name in _FINISHING else _STOP_SECONDS


def _report(child: Child, what: str) -> str:
    return "\n".join([f"{child.name} {what}. Its last lines:", *(f"  {line}" for line in child.last_lines)])


def _describe(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def child_environment(settings: Settings) -> Mapping[str, str]:
    """Ours, with this interpreter's programs first on PATH and what only the Procfile can hand to Flower."""
    programs = str(Path(sys.executable).parent)
    return {
        **os.environ,
        "PATH": os.pathsep.join([programs, os.environ.get("PATH", os.defpath)]),
        "PYTHONUNBUFFERED": "1",
        "CHATQUEUE_FLOWER_PORT": str(settings.flower_port),
    }


def prepare(procfile: Path, settings: Settings) -> list[Entry]:
    """The processes to start, once everything they need is there. Raises CannotStart."""
    skipped = set()
    if not settings.has_embedded_redis:
        skipped.add("redis")
        preflight.check_redis(settings)
    if not settings.has_offline_model:
        skipped.add("model")
    preflight.check_ports(settings)
    return [entry for entry in read_procfile(procfile) if entry.name not in skipped]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m local.launcher", description="Start chatqueue on this machine.")
    parser.add_argument("--procfile", type=Path, default=PROJECT_ROOT / "Procfile", help="default: %(default)s")
    try:
        settings = load_settings()
        entries = prepare(parser.parse_args().procfile, settings)
    except CannotStart as error:
        print(f"chatqueue: {error}", file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:  # nothing runs yet
        return 130
    raise_file_limit()
    with own_foreground():
        return Launcher(entries, settings).run()


if __name__ == "__main__":
    sys.exit(main())
