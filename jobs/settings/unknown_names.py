"""Finds variables that look like settings and are none: a misspelt setting would silently have its default."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from dotenv import dotenv_values

PREFIX: Final = "CHATQUEUE_"
_TESTS_PREFIX: Final = "CHATQUEUE_TEST_"  # read by the test suite
_OF_CLIENTS: Final = frozenset({"CHATQUEUE_URL", "CHATQUEUE_API_KEY"})  # read by the client commands
_SIMILAR: Final = 0.8  # of difflib's ratio: one or two letters


class UnknownSettings(ValueError):
    """The message names each variable, and the setting that was probably meant. It contains no value."""


def check_names(environment: Mapping[str, str], files: Iterable[Path], settings: Collection[str]) -> None:
    """Raises UnknownSettings for a variable with our prefix, or a line of a file, that is misspelt.

    ``settings`` are the names of all settings, which are read in upper and in lower case. Lines of the files that
    resemble no setting are left alone.
    """
    problems = [*_problems(environment, settings, "the environment", only_prefixed=True)]
    for file in files:
        problems += _problems(dotenv_values(file), settings, file.name, only_prefixed=False)
    if problems:
        raise UnknownSettings("; ".join(problems))


def _problems(names: Iterable[str], settings: Collection[str], where: str, *, only_prefixed: bool) -> Iterator[str]:
    for name in sorted(name for name in names if name.upper() not in {*settings, *_OF_CLIENTS}):
        meant = _meant(name.upper(), settings)
        if name.upper().startswith(_TESTS_PREFIX):
            continue
        if name.upper().startswith(PREFIX) or (meant and not only_prefixed):
            hint = f": did you mean {meant}?" if meant else ""
            yield f"{name} in {where} is not a setting{hint}"


def _meant(name: str, settings: Collection[str]) -> str | None:
    without_prefix = name.removeprefix(PREFIX)
    if without_prefix in settings:
        return without_prefix
    return next(iter(get_close_matches(name, settings, 1, _SIMILAR)), None)
