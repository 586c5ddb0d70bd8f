"""The command `version`."""

import platform

import click

from jobs.version import VERSION


@click.command()
def version() -> None:
    """Print the version of chatqueue and of Python."""
    click.echo(f"chatqueue {VERSION} (Python {platform.python_version()})")
