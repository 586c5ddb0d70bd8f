"""The clients that `make clients` installs. Their programs get only a base URL and a key."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent
# Without these, LiteLLM downloads data from the network when it is imported.
LITELLM_ENV = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True"}
OLDEST_NODE = 20
PROGRAM_SECONDS = 100.0


def script(client: str, name: str) -> str:
    """The path of a command in that client's virtual environment. Skips the test where the client is not installed."""
    path = FOLDER / f".venv-{client}" / "bin" / name
    if not path.exists():
        pytest.skip(f"{client} is not installed: run `make clients`")
    return str(path)


def python(client: str) -> str:
    """The interpreter that has this client installed. The tests' own interpreter has the newest `openai`."""
    return sys.executable if client == "openai" else script(client, "python")


def node() -> str:
    """The path of Node.js. Skips the test where Node.js or the npm client is missing or too old."""
    path = shutil.which("node")
    if path is None:
        pytest.skip("Node.js is not installed: the npm client cannot be tested")
    version = subprocess.run([path, "--version"], capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    if int(version.removeprefix("v").partition(".")[0]) < OLDEST_NODE:
        pytest.skip(f"node {version} is too old for the npm client, which needs {OLDEST_NODE} or newer")
    if not (FOLDER / "node_modules" / "openai").exists():
        pytest.skip("the npm client is not installed: run `make clients` on a machine that has npm")
    return path


def run(*command: str, url: str, **env: str) -> str:
    """The output of a program. Raises AssertionError, with the output, when the program fails."""
    completed = subprocess.run(
        command,
        cwd=FOLDER,
        env={**os.environ, **LITELLM_ENV, "OPENAI_BASE_URL": f"{url}/v1", "OPENAI_API_KEY": "sk-any", **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=PROGRAM_SECONDS,
    )
    assert completed.returncode == 0, completed.stdout
    return completed.stdout
