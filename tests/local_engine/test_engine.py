"""The engine keeps a container's promises: an environment of its own, a log for each start, nothing left behind."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from docker.errors import ImageNotFound

from tests.local_engine import LocalEngine, LocalImage, wait_until

PROJECT_ROOT = Path(__file__).resolve().parents[2]
SHELL = LocalImage(id="shell")


@pytest.fixture
def engine(tmp_path):
    engine = LocalEngine(tmp_path / "engine", [SHELL])
    yield engine
    engine.close()


def run(engine, script, **options):
    return engine.containers.run("shell", command=["sh", "-c", script], detach=True, **options)


def is_running(pid):
    """Zombies, which only their parent can clear away, do not count."""
    status = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return status.stdout.strip()[:1] not in ("", "Z")


def test_a_container_gets_no_environment_of_the_tests(engine, monkeypatch):
    """A developer's OPENAI_API_KEY or REDIS_URL must not reach what the tests start."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-a-developer")

    container = run(engine, 'echo "[$OPENAI_API_KEY] [$GIVEN]"', environment={"GIVEN": "given"})

    assert container.wait() == {"StatusCode": 0}
    assert container.logs() == b"[] [given]\n"


def test_the_log_of_a_restarted_container_begins_anew(engine):
    """Readiness is read from the log: the prompt of an earlier start must not count."""
    container = run(engine, "echo $$; exec sleep 60")
    assert wait_until(container.logs, 5)
    before = container.logs()

    container.restart()

    assert wait_until(container.logs, 5)
    assert container.logs() == f"{container.pid}\n".encode() != before


def test_the_children_of_a_container_end_with_it(engine):
    """As in a container: no child outlives the first process, and the exit code is Docker's."""
    container = run(engine, "sleep 60 & echo $!; wait")
    assert wait_until(container.logs, 5)
    child = int(container.logs())

    container.kill()

    assert container.wait() == {"StatusCode": 128 + signal.SIGKILL}
    assert wait_until(lambda: not is_running(child), 5)


def test_nothing_outlives_tests_that_are_killed(tmp_path):
    """Not even after kill -9, when no fixture, atexit or finally runs."""
    script = f"""
        import time
        from pathlib import Path
        from tests.local_engine import LocalEngine, LocalImage

        engine = LocalEngine(Path({str(tmp_path / "engine")!r}), [LocalImage(id="shell")])
        container = engine.containers.run("shell", command=["sleep", "60"], detach=True)
        print(container.pid, flush=True)
        time.sleep(60)
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], cwd=PROJECT_ROOT, stdout=subprocess.PIPE
    ) as tests:
        pid = int(tests.stdout.readline())
        assert is_running(pid)
        os.kill(tests.pid, signal.SIGKILL)

    assert wait_until(lambda: not is_running(pid), 5)


def test_an_image_without_a_stand_in_is_named(engine):
    """Nothing is pulled: a test that wants another service says so at once."""
    with pytest.raises(ImageNotFound, match="rabbitmq:latest"):
        engine.images.get("rabbitmq:latest")
