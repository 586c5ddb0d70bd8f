"""Runs all checks, in the order in which a person would repair what they find."""

from collections.abc import Iterator
from typing import Final

from jobs.settings import Settings
from local.config import load_settings
from local.doctor.finding import Check, Finding, Level
from local.doctor.machine import check_data_folder, check_ports, check_secrets
from local.doctor.program import check_open_files, check_packages
from local.doctor.provider import check_providers
from local.doctor.redis_server import check_broker, check_redis
from local.doctor.workers import check_workers
from local.errors import CannotStart

_CHECKS: Final[tuple[Check, ...]] = (
    check_packages,
    check_open_files,
    check_secrets,
    check_data_folder,
    check_ports,
    check_redis,
    check_broker,
    check_workers,
    check_providers,
)


def examine() -> Iterator[Finding]:
    """Every finding, as soon as it is known. Without valid settings nothing else can be checked."""
    try:
        settings = load_settings()
    except CannotStart as error:
        yield Finding("settings", Level.PROBLEM, str(error))
        return
    yield Finding("settings", Level.OK, "valid")
    for check in _CHECKS:
        yield from _examine(check, settings)


def _examine(check: Check, settings: Settings) -> Iterator[Finding]:
    """The findings of a check. Its own failure is one too, so that the other checks still run."""
    try:
        yield from check(settings)
    except Exception as error:  # noqa: BLE001  # a diagnosis must not end because of what it examines
        name = check.__name__.removeprefix("check_").replace("_", " ")
        yield Finding(name, Level.PROBLEM, f"this check failed ({type(error).__name__}): please report it")
