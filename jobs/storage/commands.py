"""A command: one call to Redis and how to read its answer, as data.

Each storage verb and query is written once, as a function that returns a Command. The sync store (web process)
and the async store (worker) only carry commands to the server; neither knows what a job is.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar

from jobs.errors import InternalError

Argument: TypeAlias = str | bytes | int | float
T = TypeVar("T")

_LUA = Path(__file__).parent / "lua"
_INCLUDE = re.compile(r"^-- include: (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Script:
    """One Lua file with what it includes. ``sha`` is the name under which the server keeps it."""

    name: str
    source: str = field(repr=False)
    sha: str


@dataclass(frozen=True)
class Command(Generic[T]):
    """``arguments`` as they go over the wire; ``read`` turns the server's answer into a value.

    ``arguments`` may hold prompts and answers, so no repr shows them.
    """

    arguments: tuple[Argument, ...] = field(repr=False)
    read: Callable[[Any], T] = field(repr=False)
    script: Script | None = None

    def encoded(self) -> tuple[Argument, ...]:
        """The arguments as bytes, so that a text which cannot be sent fails its own caller and nobody else in the
        batch.

        Raises InternalError, which unlike UnicodeEncodeError does not hold the text.
        """
        try:
            rest = (argument.encode() if isinstance(argument, str) else argument for argument in self.arguments[1:])
            return (self.arguments[0], *rest)  # the command's name stays: by it redis-py knows how to read the answer
        except UnicodeEncodeError:
            raise InternalError("a text with half a character in it cannot be written down") from None


@cache
def load_script(name: str) -> Script:
    """Read ``lua/{name}.lua`` and put the pieces that its header includes before it.

    Raises FileNotFoundError when there is no such file.
    """
    body = (_LUA / f"{name}.lua").read_text(encoding="utf-8")
    include_line = _INCLUDE.search(body)
    pieces = [
        (_LUA / f"include_{include}.lua").read_text(encoding="utf-8")
        for include in (include_line.group(1).split() if include_line else ())
    ]
    source = "\n".join([*pieces, body])
    return Script(name, source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())


def script_names() -> list[str]:
    """The verbs: every Lua file that is not a piece to include."""
    return sorted(path.stem for path in _LUA.glob("*.lua") if not path.stem.startswith("include_"))


def script_command(name: str, keys: list[str], args: list[Argument], read: Callable[[Any], T]) -> Command[T]:
    script = load_script(name)
    return Command(("EVALSHA", script.sha, len(keys), *keys, *args), read, script)


def plain_command(*arguments: Argument, read: Callable[[Any], T]) -> Command[T]:
    return Command(arguments, read)


def record_command(key: str, read: Callable[[dict[str, str]], T]) -> Command[T | None]:
    """A record's hash; None when there is none."""

    def read_hash(fields: dict[bytes, bytes]) -> T | None:
        if b"state" not in fields:
            return None
        return read({text(name): text(value) for name, value in fields.items()})

    return plain_command("HGETALL", key, read=read_hash)


def text(value: Any) -> str:
    """The server's answer as text; answers of scripts are words."""
    return value.decode() if isinstance(value, bytes) else str(value)
