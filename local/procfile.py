"""The commands of the processes, in the standard Procfile format: one process per line, ``name: command``."""

import os
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple, NoReturn

from jobs.folders import PROJECT_ROOT
from jobs.settings import Settings
from local.errors import CannotStart

PROCFILE: Final = Path(__file__).with_name("Procfile")
_LINE = re.compile(r"(?P<name>[A-Za-z0-9_-]+):\s*(?P<command>\S.*)")


class Entry(NamedTuple):
    name: str
    command: str  # run by a shell: ${VARIABLE} and quotes work as in other Procfile runners


def read_procfile(path: Path) -> list[Entry]:
    """The processes, in the order of the file. Raises CannotStart if the file is missing or not a Procfile."""
    try:
        return parse_procfile(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CannotStart(f"cannot read {path}: {error.strerror}") from None


def parse_procfile(text: str) -> list[Entry]:
    """Skips blank lines and lines that start with #. Raises CannotStart, which names the number of a bad line."""
    entries: dict[str, Entry] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise CannotStart(f"Procfile, line {number}: expected `name: command`")
        if match["name"] in entries:
            raise CannotStart(f"Procfile, line {number}: {match['name']} is defined twice")
        entries[match["name"]] = Entry(match["name"], match["command"])
    return list(entries.values())


def child_environment(settings: Settings) -> Mapping[str, str]:
    """The environment of a process of the Procfile, which runs in PROJECT_ROOT.

    This interpreter's programs come first on PATH, Flower's port is set, and paths do not depend on the folder.
    """
    programs = str(Path(sys.executable).parent)
    paths = {"CHATQUEUE_DATA_DIR": settings.data_dir, "CHATQUEUE_PROVIDERS_FILE": settings.providers_file}
    return {
        **os.environ,
        **{name: str(path.absolute()) for name, path in paths.items() if path is not None},
        "PATH": os.pathsep.join([programs, os.environ.get("PATH", os.defpath)]),
        "PYTHONUNBUFFERED": "1",
        "CHATQUEUE_FLOWER_PORT": str(settings.flower_port),
    }


def become(name: str, arguments: Sequence[str], settings: Settings) -> NoReturn:
    """Replace this process by a process of the Procfile, so that signals reach it. Raises CannotStart."""
    commands = dict(read_procfile(PROCFILE))
    os.chdir(PROJECT_ROOT)
    shell_command = f"exec {commands[name]} {shlex.join(arguments)}"
    os.execve("/bin/sh", ["sh", "-c", shell_command], child_environment(settings))  # noqa: S606
