"""A process that is confined can read its file and the interpreter, and nothing else works for it."""

import json
import subprocess
import sys

import pytest

from guards.confinement import minimal_environment
from tests.support.processes import PROJECT_ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the guards are Linux's")

PROGRAM = """
import json, os, socket, subprocess, sys, threading
from pathlib import Path
from guards.confinement import confine, limit_processes_and_files
own, other, folder = map(Path, sys.argv[1:])
guards = confine([own], [])
threading.Thread(target=lambda: None).start()
guards += limit_processes_and_files()
def works(action):
    try:
        action()
        return True
    except (OSError, RuntimeError):
        return False
allowed = {
    "own file": works(own.read_bytes),
    "an import": works(lambda: __import__("colorsys")),
}
refused = {
    "another file": works(other.read_bytes),
    "a listing": works(lambda: list(folder.iterdir())),
    "a new file": works(lambda: (folder / "new").write_text("a")),
    "writing its file": works(lambda: own.write_text("a")),
    "removing its file": works(own.unlink),
    "tcp": works(lambda: socket.socket()),
    "udp": works(lambda: socket.socket(type=socket.SOCK_DGRAM)),
    "a unix socket": works(lambda: socket.socket(socket.AF_UNIX)),
    "a pair of sockets": works(socket.socketpair),
    "a program": works(lambda: subprocess.run(["/bin/true"])),
    "a fork": works(lambda: os.fork() or os._exit(0)),
    "a signal": works(lambda: os.kill(os.getppid(), 0)),
    "many files": works(lambda: [open(own) for _ in range(64)]),
}
print(json.dumps([guards, allowed, refused, list(os.environ)]))
"""


@pytest.fixture
def outcome(tmp_path):
    """What worked in a confined process: its guards, what should, what should not, and its variables."""
    own, other = tmp_path / "own", tmp_path / "other"
    own.write_text("own")
    other.write_text("other")
    env = {**minimal_environment(), "PYTHONPATH": str(PROJECT_ROOT)}
    command = [sys.executable, "-c", PROGRAM, own, other, tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, cwd=PROJECT_ROOT, env=env, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_confined_process_can_only_read_its_file(outcome):
    """As much of it as the kernel supports; this test expects a kernel with both guards."""
    guards, allowed, refused, _ = outcome
    if not {"landlock", "seccomp"} <= set(guards):
        pytest.skip(f"this kernel supports only {guards}")

    assert allowed == dict.fromkeys(allowed, True)
    assert refused == dict.fromkeys(refused, False)
    assert "no_new_privileges" in guards


def test_the_environment_of_a_confined_process_has_no_secret(monkeypatch):
    """Found by keeping names, not by removing them: a new secret has a new name."""
    for name in ("OPENAI_API_KEY", "REDIS_URL", "AWS_SECRET_ACCESS_KEY", "CHATQUEUE_DATA_DIR", "HOME"):
        monkeypatch.setenv(name, "canary")

    assert "canary" not in minimal_environment().values()
