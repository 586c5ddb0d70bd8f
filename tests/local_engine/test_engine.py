"""The substitute behaves like Docker: a clean environment, a log for each start, no processes left behind."""

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
    """Whether the process runs. A zombie, which only its parent can remove, does not."""
    status = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return status.stdout.strip()[:1] not in ("", "Z")


def test_a_container_does_not_inherit_the_environment_of_the_tests(engine, monkeypatch):
    """A developer's OPENAI_API_KEY or REDIS_URL must not reach the programs that the tests start."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-a-developer")

    container = run(engine, 'echo "[$OPENAI_API_KEY] [$GIVEN]"', environment={"GIVEN": "given"})

    assert container.wait() == {"StatusCode": 0}
    assert container.logs() == b"[] [given]\n"


def test_a_restarted_container_has_a_new_log(engine):
    """Readiness is read from the log, so output of an earlier start must not count."""
    container = run(engine, "echo $$; exec sleep 60")
    assert wait_until(container.logs, 5)
    before = container.logs()

    container.restart()

    assert wait_until(container.logs, 5)
    assert container.logs() == f"{container.pid}\n".encode() != before


def test_the_children_of_a_container_end_with_it(engine):
    """No child outlives the first process, and the exit code is the one that Docker reports."""
    container = run(engine, "sleep 60 & echo $!; wait")
    assert wait_until(container.logs, 5)
    child = int(container.logs())

    container.kill()

    assert container.wait() == {"StatusCode": 128 + signal.SIGKILL}
    assert wait_until(lambda: not is_running(child), 5)


def test_no_container_outlives_tests_that_are_killed(tmp_path):
    """After kill -9 no fixture, atexit or finally runs; the reaper must still end every container."""
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


def test_an_unsupported_image_is_named(engine):
    """Nothing is pulled: a test that needs another service fails immediately, with the name of the image."""
    with pytest.raises(ImageNotFound, match="rabbitmq:latest"):
        engine.images.get("rabbitmq:latest")
