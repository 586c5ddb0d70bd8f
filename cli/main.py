"""The group of all commands. A command's module is imported when the command is used, so that each starts quickly."""

from importlib import import_module
from typing import Any, Final

import click

from cli.errors import CliError, Interrupted
from cli.options import Options, connection_options
from local.errors import CannotStart

_MODULES: Final = {  # in the order of the help
    "up": "processes",
    "web": "processes",
    "worker": "processes",
    "flower": "processes",
    "doctor": "doctor",
    "chat": "chat",
    "tail": "chat",
    "jobs": "jobs",
    "cancel": "jobs",
    "retry": "jobs",
    "stats": "stats",
    "documents": "documents",
    "version": "version",
}


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(_MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _MODULES:
            return None
        command = getattr(import_module(f"cli.{_MODULES[cmd_name]}"), cmd_name)
        return command if isinstance(command, click.Command) else None

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. An expected failure ends in one line and an exit code of cli/errors.py."""
        try:
            return super().invoke(ctx)
        except CannotStart as error:
            raise CliError(str(error)) from None
        except KeyboardInterrupt:
            click.echo(err=True)  # the terminal shows ^C on this line
            raise click.exceptions.Exit(Interrupted.exit_code) from None


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@connection_options(envvar="CHATQUEUE_URL")
@click.pass_context
def chatqueue(ctx: click.Context, /, **options: Any) -> None:
    """Durable LLM calls behind a queue.

    `chatqueue up` starts everything on this machine. The commands from `chat` on are clients of a running server, by
    default of the one on this machine.

    Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 the server is unavailable, 4 unknown id, 130 Ctrl-C.
    """
    ctx.obj = Options(**options)
