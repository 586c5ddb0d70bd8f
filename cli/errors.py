"""How a command ends, and the one line that it prints on standard error then.

0    done
1    CliError       refused or failed: a setting, a request, a job, or a problem that `doctor` found
2    click's own    wrong usage: an option or argument
3    Unavailable    the server cannot be reached, or cannot serve this now: try again later
4    UnknownId       there is no job or document of this id
130  Interrupted    Ctrl-C
"""

from typing import IO, Any

import click


class CliError(click.ClickException):
    """An expected failure: the problem and its remedy in one line, without a traceback."""

    exit_code = 1

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"chatqueue: {self.format_message()}", file=file, err=True)


class Unavailable(CliError):
    exit_code = 3


class UnknownId(CliError):
    exit_code = 4


class Interrupted(CliError):
    exit_code = 130
