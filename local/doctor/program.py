"""Whether the program itself is complete: its packages, and the limit of open files."""

from collections.abc import Iterator
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from typing import Final

from guards.file_limit import TooFewFiles, fitting
from jobs.folders import IS_CHECKOUT
from jobs.settings import Settings
from local.doctor.finding import Finding, Level
from local.errors import CannotStart
from local.redis_server import find_binary

_DISTRIBUTION: Final = "chatqueue"
_MODULES: Final = ("api", "cli", "documents", "guards", "gunicorn_ext", "jobs", "local", "openai_format", "tasks")
_FOR_DOCUMENTS: Final = ("lancedb", "pypdfium2")


def check_packages(settings: Settings) -> Iterator[Finding]:
    owners = {} if IS_CHECKOUT else packages_distributions()
    for module in _MODULES:
        others = sorted(set(owners.get(module, ())) - {_DISTRIBUTION})
        if others:
            problem = f"{', '.join(others)} has a module {module} too, which may replace that of chatqueue"
            advice = "install chatqueue into an environment of its own, with `uv tool install` or pipx"
            yield Finding("packages", Level.PROBLEM, f"{problem}: {advice}")
    missing = [name for name in _FOR_DOCUMENTS if find_spec(name) is None]
    if missing:
        advice = "install chatqueue[documents] to use documents"
        yield Finding("packages", Level.NOTE, f"{', '.join(missing)} not installed, so documents get 501: {advice}")
    if settings.has_embedded_redis:
        try:
            find_binary()
        except CannotStart as error:
            yield Finding("packages", Level.PROBLEM, str(error))


def check_open_files(settings: Settings) -> Iterator[Finding]:
    wanted = settings.worker_concurrency
    try:
        slots = fitting(wanted)
    except TooFewFiles as error:
        yield Finding("open files", Level.PROBLEM, str(error))
        return
    if slots < wanted:
        problem = f"the limit of open files allows {slots} concurrent calls, not {wanted}"
        yield Finding("open files", Level.WARNING, f"{problem}: raise it with ulimit -n or LimitNOFILE=")
