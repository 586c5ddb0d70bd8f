"""A real Chromium without a window."""

import os
import shutil
import subprocess
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.support.processes import Process, running

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium on this machine: install the package `chromium`"
)


def browsing(url: str, folder: Path, *options: str) -> AbstractContextManager[Process]:
    """Runs the browser on a page, for the length of the block. It keeps its files in the folder."""
    assert CHROMIUM is not None
    command = [CHROMIUM, *_flags(folder), "--remote-debugging-port=0", *options, url]
    return running(command, ready="DevTools listening", env={"HOME": str(folder)})


def page_source(url: str, folder: Path, *options: str) -> str:
    """The document that the browser makes of a page, as HTML."""
    command = [str(CHROMIUM), *_flags(folder), *options, "--dump-dom", url]
    env = {**os.environ, "HOME": str(folder)}
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, env=env, check=True)
    return result.stdout


def _flags(folder: Path) -> list[str]:
    flags = ["--headless=new", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
    flags += ["--disable-component-update", f"--user-data-dir={folder}"]
    return flags + (["--no-sandbox"] if os.geteuid() == 0 else [])  # Chromium does not start as root with a sandbox
