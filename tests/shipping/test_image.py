"""The image is built, and runs with a read-only root and without rights: a chat is answered, SIGTERM loses nothing."""

import json
import os
import shutil
import signal
import subprocess
import urllib.request
from pathlib import Path

import psutil
import pytest

from jobs.folders import PROJECT_ROOT
from jobs.states import State
from tests.support.processes import free_port, running
from tests.support.waiting import until
from tests.tasks.conftest import Client

BASE = os.environ.get("CHATQUEUE_TEST_BASE_IMAGE")  # Debian with Python, in buildah's own store: no registry is asked
MISSING = [name for name in ("buildah", "unshare", "setpriv") if shutil.which(name) is None]
RUN = Path(__file__).with_name("run_image.sh")
BUILD_SECONDS = 900  # a new environment with all packages
pytestmark = [
    pytest.mark.processes,
    pytest.mark.slow,
    pytest.mark.timeout(2 * BUILD_SECONDS),
    pytest.mark.skipif(BASE is None, reason="CHATQUEUE_TEST_BASE_IMAGE names no image to build on"),
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount the image"),
]


def buildah(*arguments, seconds=60):
    env = {**os.environ, "STORAGE_DRIVER": "vfs", "BUILDAH_ISOLATION": "chroot"}
    done = subprocess.run(
        ["buildah", *arguments], capture_output=True, text=True, timeout=seconds, check=False, env=env
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    return done.stdout.strip()


@pytest.fixture(scope="module")
def root():
    """The folder of the image. The host's certificates and pip's configuration are used while it is built."""
    volumes = [f"--volume={path}:{path}:ro" for path in ("/etc/ssl/certs", "/etc/pip.conf") if Path(path).exists()]
    options = [
        "--network=host",
        *volumes,
        f"--build-arg=BASE={BASE}",
        "--file=ops/Containerfile",
        "--tag=chatqueue-test",
    ]
    buildah("bud", *options, str(PROJECT_ROOT), seconds=BUILD_SECONDS)
    container = buildah("from", "chatqueue-test")
    yield buildah("mount", container)
    buildah("rm", container)


@pytest.fixture
def port():
    return free_port()


@pytest.fixture
def start(root, redis_url, model_url, tmp_path, port):
    """Start a command of the image."""
    os.chown(tmp_path, 10_001, 10_001)
    env = {
        "REDIS_URL": redis_url,
        "OPENAI_BASE_URL": model_url,
        "CHATQUEUE_WEB_PORT": str(port),
        "CHATQUEUE_WEB_HOST": "127.0.0.1",
        "CHATQUEUE_DATA_DIR": "/data",
        "CHATQUEUE_GRACE_SECONDS": "0.5",
        "PYTHONDONTWRITEBYTECODE": "1",
    }

    def of(*command, ready):
        return running(["sh", str(RUN), root, str(tmp_path), *command], ready=ready, env=env)

    return of


def first_process(process):
    """PID 1 of the image."""
    return next(child for child in psutil.Process(process.pid).children() if child.name() == "tini")


def test_a_chat_is_answered_and_sigterm_returns_a_running_job(start, port, store, settings):
    """Both processes end with 0, and nothing but /tmp and /data could have been written."""
    client = Client(store, settings)
    with (
        start("gunicorn", "-c", "api/gunicorn_conf.py", "api:create_app()", ready="Booting worker") as web,
        start("celery", "-A", "tasks", "worker", ready=" ready.") as worker,
    ):
        asked = urllib.request.Request(
            f"http://127.0.0.1:{port}/api/v1/chat/sync",
            json.dumps({"message": "[[offline say=hello]]"}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(asked, timeout=30) as reply:
            assert json.load(reply)["answer"] == "hello"

        job_id = client.submit("[[offline tokens=2000 interval=0.02]]")
        until(lambda: client.streamed(job_id) > 2)
        status = Path(f"/proc/{first_process(worker).pid}/status").read_text()
        assert "CapEff:\t0000000000000000" in status
        assert "NoNewPrivs:\t1" in status
        for process in (worker, web):
            first_process(process).send_signal(signal.SIGTERM)
            assert process.wait(20) == 0

    record = client.record(job_id)
    assert (record.state, record.attempts) == (State.QUEUED, 0)
