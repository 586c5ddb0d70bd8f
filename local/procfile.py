"""The standard Procfile format: one process per line, ``name: command``."""

import re
from pathlib import Path
from typing import NamedTuple

from local.errors import CannotStart

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
