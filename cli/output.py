"""What a command prints: for people on a terminal, plain lines in a pipe, and JSON if it is asked for.

Results go to standard output; notes, progress and errors go to standard error. Texts of models and of other people are
printed without control characters, which could change what the terminal shows.
"""

import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import click
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from cli.errors import Unavailable

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_BLANKS: Final = re.compile(r"\s+")


def printable(text: str) -> str:
    """The text without characters that control a terminal, or that reverse the order of what follows."""
    return _CONTROL.sub("", text)


@dataclass(frozen=True)
class Rows:
    """A table: on a terminal in columns, in a pipe one line a row, separated by tabs."""

    columns: tuple[str, ...]
    rows: Sequence[Sequence[object]]

    def cells(self) -> list[list[str]]:
        return [[_BLANKS.sub(" ", printable("" if cell is None else str(cell))) for cell in row] for row in self.rows]


@dataclass(frozen=True)
class Report:
    """The result of a command: its JSON, and the tables that people see."""

    value: Any
    tables: Sequence[Rows]


class Output:
    """The standard output and error of one command."""

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        self.console = Console(highlight=False, markup=False, emoji=False)
        self.errors = Console(stderr=True, highlight=False, markup=False, emoji=False)

    @property
    def is_live(self) -> bool:
        """Whether people watch: then text is shown as it arrives."""
        return self.console.is_terminal and not self.as_json

    def json(self, value: Any) -> None:
        """Print one line of JSON."""
        click.echo(json.dumps(value, ensure_ascii=False))

    def write(self, text: str) -> None:
        """Print a part of a text immediately. Control characters are removed for a terminal only."""
        click.echo(printable(text) if self.console.is_terminal else text, nl=False)

    def note(self, text: str) -> None:
        """Print a line for people on standard error."""
        click.echo(printable(text), err=True)

    def report(self, report: Report) -> None:
        if self.as_json:
            self.json(report.value)
        elif self.console.is_terminal:
            self.console.print(_drawn(report))
        else:
            for table in report.tables:
                for row in [table.columns, *table.cells()]:
                    click.echo("\t".join(row))

    def watch(self, read: Callable[[], Report], seconds: float) -> None:
        """Print the report again and again until Ctrl-C, also while the server is unavailable."""
        try:
            if not self.is_live:
                while True:
                    self.report(read())
                    time.sleep(seconds)
            with Live(console=self.console, auto_refresh=False) as live:
                while True:
                    live.update(_drawn_or_reason(read), refresh=True)
                    time.sleep(seconds)
        except KeyboardInterrupt:
            return


def _drawn_or_reason(read: Callable[[], Report]) -> Group | Text:
    try:
        return _drawn(read())
    except Unavailable as error:
        return Text(error.message)


def _drawn(report: Report) -> Group:
    return Group(*map(_table, report.tables))


def _table(rows: Rows) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, column in enumerate(rows.columns):
        table.add_column(Text(column), no_wrap=True, overflow="fold" if number == 0 else "ellipsis")
    for cells in rows.cells():
        table.add_row(*map(Text, cells))
    return table
