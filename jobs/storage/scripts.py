"""The Lua scripts: each file's header lists the names of its KEYS and ARGV, the one place where their order is written.

    -- KEYS
    --   job        the record
    --   dedup?     optional and the last one: the caller passes None to leave it out
    -- ARGV
    --   token
    --   events...  a list; lists come last, at most two

``load_script`` reads the header once. From it the Lua code gets a local of that name for each key and argument, and
Python the order in which to send them. A script's header starts with the pieces that it includes, if any. Of these it
gets the functions that it uses: each call of a script makes its functions again, which takes longer than most commands.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, Self, TypeAlias

from jobs.errors import InternalError

Argument: TypeAlias = str | bytes | int | float
NamedArguments: TypeAlias = Mapping[str, Argument | Sequence[Argument] | None]

_LUA: Final = Path(__file__).parent / "lua"
_INCLUDE: Final = re.compile(r"^-- include: (.+)$", re.MULTILINE)
_NAME: Final = re.compile(r"^--   (\w+)(\.\.\.|\?)?(?:  .*)?$", re.MULTILINE)
_FUNCTION: Final = re.compile(r"^local function (\w+)\(.*?^end\n", re.MULTILINE | re.DOTALL)
_COMMENT: Final = re.compile(r"--.*")
_MAX_LISTS: Final = 2  # with more, the generated Lua would need running offsets


@dataclass(frozen=True)
class Parameters:
    """The names of a script's KEYS or of its ARGV, in the script's order."""

    script: str
    table: Literal["KEYS", "ARGV"]
    single: tuple[str, ...]
    optional: tuple[str, ...]
    lists: tuple[str, ...]
    names: frozenset[str]

    @classmethod
    def read(cls, script: str, table: Literal["KEYS", "ARGV"], headers: Sequence[str]) -> Self:
        """The names in these headers, in order. Raises InternalError for a malformed list of names."""
        section = re.compile(rf"^-- {table}\b.*\n((?:--   .*\n)*)", re.MULTILINE)
        entries = [entry for header in headers for found in section.findall(header) for entry in _NAME.findall(found)]
        kinds = "".join({"": "s", "?": "o", "...": "l"}[mark] for _, mark in entries)
        names = [name for name, _ in entries]
        if re.fullmatch(rf"s*(o|l{{0,{_MAX_LISTS}}})", kinds) is None or len(set(names)) < len(names):
            raise InternalError(f"{script}.lua: the header lists malformed {table}: {' '.join(names)}")
        single, optional, lists = (tuple(name for name, mark in entries if mark == kind) for kind in ("", "?", "..."))
        return cls(script, table, single, optional, lists, frozenset(names))

    def bindings(self) -> list[str]:
        """The lines of Lua that give each key or argument its name."""
        table, first = self.table, len(self.single) + 1
        lines = [f"local {name} = {table}[{i}]" for i, name in enumerate((*self.single, *self.optional), 1)]
        if len(self.lists) == _MAX_LISTS:
            end = f"{first} + {table}[{first}]"
            lines.append(f"local {self.lists[0]} = slice({table}, {first + 1}, {end})")
            lines.append(f"local {self.lists[1]} = slice({table}, {end} + 1, #{table})")
        elif self.lists:
            lines.append(f"local {self.lists[0]} = slice({table}, {first}, #{table})")
        return lines

    def in_order(self, values: NamedArguments) -> list[Any]:
        """The values as the script expects them. Raises InternalError for a name that is missing, extra or misspelt.

        The first of two lists is preceded by its length.
        """
        if len(values) != len(self.names):
            raise self._mismatch(values)
        try:
            ordered: list[Any] = list(map(values.__getitem__, self.single))
            for name in self.lists:
                items: Any = values[name]
                if name is not self.lists[-1]:
                    ordered.append(len(items))
                ordered += items
            for name in self.optional:
                if (value := values[name]) is not None:
                    ordered.append(value)
        except KeyError:
            raise self._mismatch(values) from None
        return ordered

    def _mismatch(self, values: NamedArguments) -> InternalError:
        missing, unknown = sorted(self.names - values.keys()), sorted(values.keys() - self.names)
        return InternalError(f"{self.script}.lua: {self.table} missing {missing}, unknown {unknown}")


@dataclass(frozen=True)
class Script:
    """One Lua file with its bindings and the pieces that it includes. The server identifies it by ``sha``."""

    name: str
    keys: Parameters
    args: Parameters
    source: str = field(repr=False)
    sha: str


@cache
def load_script(name: str) -> Script:
    """Read ``lua/{name}.lua`` and the pieces that its header includes.

    Raises FileNotFoundError when there is no such file, InternalError when its header is malformed.
    """
    body = _read(name)
    include_line = _INCLUDE.search(body)
    pieces = [_read(f"include_{include}") for include in (include_line[1].split() if include_line else ())]
    keys, args = Parameters.read(name, "KEYS", [*pieces, body]), Parameters.read(name, "ARGV", [*pieces, body])
    slice_piece = [_read("include_slice")] if keys.lists or args.lists else []
    source = "\n".join(
        [*slice_piece, *keys.bindings(), *args.bindings(), _without_unused("\n".join(pieces), body), body]
    )
    return Script(name, keys, args, source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())


def _without_unused(pieces: str, body: str) -> str:
    """The pieces without the functions that neither the body nor what it uses mentions."""
    functions = {found[1]: found[0] for found in _FUNCTION.finditer(pieces)}
    used: set[str] = set()
    unread = [_FUNCTION.sub("", pieces), body]
    while unread:
        mentioned = functions.keys() & re.findall(r"\w+", _COMMENT.sub("", unread.pop()))
        unread += [functions[name] for name in mentioned - used]
        used |= mentioned
    return _FUNCTION.sub(lambda found: found[0] if found[1] in used else "", pieces)


def load_all_scripts() -> None:
    """Read every script now: later the process may be out of files, and then no job could be ended."""
    for name in script_names():
        load_script(name)


def script_names() -> list[str]:
    """Every Lua file that is not a piece to include."""
    return sorted(path.stem for path in _LUA.glob("*.lua") if not path.stem.startswith("include_"))


def _read(stem: str) -> str:
    return (_LUA / f"{stem}.lua").read_text(encoding="utf-8")
