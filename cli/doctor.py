"""The command `doctor`."""

from typing import Final

import click
from rich.text import Text

from cli.errors import CliError
from cli.options import Options
from cli.output import Output
from local.doctor.finding import Finding, Level
from local.doctor.run import examine

_STYLES: Final = {Level.OK: "green", Level.NOTE: "cyan", Level.WARNING: "yellow", Level.PROBLEM: "bold red"}
_LEVEL_WIDTH: Final = max(map(len, Level)) + 1
_CHECK_WIDTH: Final = 12


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one line for each finding.")
@click.pass_obj
def doctor(options: Options, /, as_json: bool) -> None:
    """Find what is wrong with this set-up, and say what to do.

    Looks at the settings, this machine, Redis, the broker, the workers and the provider. Exit code 1 if there is a
    problem.
    """
    output = Output(as_json=as_json or options.as_json)
    problems = 0
    for finding in examine():
        _show(output, finding)
        problems += finding.level is Level.PROBLEM
    if problems:
        raise CliError(f"{problems} {'problem' if problems == 1 else 'problems'} found")


def _show(output: Output, finding: Finding) -> None:
    if output.as_json:
        output.json(finding._asdict())
        return
    level = f"{finding.level:{_LEVEL_WIDTH}}"
    output.console.print(
        Text.assemble((level, _STYLES[finding.level]), f"{finding.check:{_CHECK_WIDTH}} {finding.message}"),
        soft_wrap=True,
    )
