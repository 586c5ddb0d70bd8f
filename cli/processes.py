"""Commands that start processes on this machine."""

from pathlib import Path
from typing import Any

import click

from local.config import load_settings
from local.procfile import PROCFILE, become

_PASS_ON: dict[str, Any] = {"ignore_unknown_options": True, "help_option_names": []}
_arguments = click.argument("arguments", nargs=-1, type=click.UNPROCESSED)


@click.command()
@click.option("--procfile", type=click.Path(path_type=Path), default=PROCFILE, hidden=True)
@click.pass_context
def up(ctx: click.Context, procfile: Path) -> None:
    """Start everything on this machine; Ctrl-C stops it.

    Without REDIS_URL an embedded Redis-compatible server is started, and without a provider an offline stub.
    """
    from local.launcher import launch  # not for `web` and `worker`, which load the rest of their program anyway

    ctx.exit(launch(procfile))


@click.command(context_settings=_PASS_ON)
@_arguments
def web(arguments: tuple[str, ...]) -> None:
    """Run the API only. ARGUMENTS are passed on to gunicorn."""
    become("web", arguments, load_settings())


@click.command(context_settings=_PASS_ON)
@_arguments
def worker(arguments: tuple[str, ...]) -> None:
    """Run a worker only. ARGUMENTS are passed on to `celery worker`, such as `-P threads`."""
    become("worker", arguments, load_settings())


@click.command(context_settings=_PASS_ON)
@_arguments
def flower(arguments: tuple[str, ...]) -> None:
    """Run Flower only. ARGUMENTS are passed on to `celery flower`."""
    become("flower", arguments, load_settings())
