"""The clients that `make clients` installs, and how their programs are run: by nothing but a base URL and a key."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOM = Path(__file__).resolve().parent
# What it would fetch from the network when it is imported.
LITELLM_ENV = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True"}
OLDEST_NODE = 20
PROGRAM_SECONDS = 100.0


def script(client: str, name: str) -> str:
    """A command of that client's environment; where it is not installed, the test is skipped."""
    path = ROOM / f".venv-{client}" / "bin" / name
    if not path.exists():
        pytest.skip(f"{client} is not installed: `make clients` does it")
    return str(path)


def python(client: str) -> str:
    """The interpreter that has that client; that of the tests has the newest `openai`."""
    return sys.executable if client == "openai" else script(client, "python")


def node() -> str:
    path = shutil.which("node")
    if path is None:
        pytest.skip("node is not on this machine: the npm client cannot be tried")
    version = subprocess.run([path, "--version"], capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    if int(version.removeprefix("v").partition(".")[0]) < OLDEST_NODE:
        pytest.skip(f"node {version} is too old for the npm client: it needs {OLDEST_NODE}")
    if not (ROOM / "node_modules" / "openai").exists():
        pytest.skip("the npm client is not installed: `make clients` does it, where npm is")
    return path


def run(*command: str, url: str, **env: str) -> str:
    """What a program prints; AssertionError with it when the program fails."""
    ended = subprocess.run(
        command,
        cwd=ROOM,
        env={**os.environ, **LITELLM_ENV, "OPENAI_BASE_URL": f"{url}/v1", "OPENAI_API_KEY": "sk-any", **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=PROGRAM_SECONDS,
    )
    assert ended.returncode == 0, ended.stdout
    return ended.stdout
