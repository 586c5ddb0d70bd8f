"""What the package may load."""

import subprocess
import sys

from tests.support.processes import PROJECT_ROOT


def test_the_package_loads_neither_the_sdk_nor_a_framework():
    """The web process imports the package and must not pay for the SDK, whose types are for type checkers only."""
    code = """
import importlib, pkgutil, sys
import openai_format
for module in pkgutil.iter_modules(openai_format.__path__):
    importlib.import_module(f"openai_format.{module.name}")
print(*sys.modules)
"""
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True, timeout=60
    ).stdout.split()

    assert "openai_format.chunk_converter" in loaded
    assert {"openai", "pydantic", "flask", "celery", "redis", "jobs", "tasks", "api"}.isdisjoint(loaded)
