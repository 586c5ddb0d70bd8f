"""What every command of the client has: a client of the API, and its output."""

import os
from contextlib import ExitStack, closing
from functools import cached_property, wraps
from typing import Any, cast

import click

from cli.client import ApiClient, parse_url
from cli.options import Function, Options, connection_options
from cli.output import Output
from local.config import load_settings
from local.readiness import web_url


class Session:
    """One run of a client command."""

    def __init__(self, options: Options) -> None:
        self.output = Output(as_json=options.as_json)
        self._url = options.url
        self._resources = ExitStack()

    @cached_property
    def client(self) -> ApiClient:
        """The client of the server in --url or CHATQUEUE_URL, or else of the server of this machine's settings.

        Its API key is in CHATQUEUE_API_KEY only: other users of the machine can see the options of a command.
        """
        url = parse_url(self._url) if self._url else web_url(load_settings())
        client = ApiClient(url, os.environ.get("CHATQUEUE_API_KEY"))
        return self._resources.enter_context(closing(client))

    def close(self) -> None:
        self._resources.close()


def client_command(function: Function) -> Function:
    """Pass the session of this command as the first argument. The innermost decorator of a command."""

    @wraps(function)
    def run(ctx: click.Context, /, url: str | None, as_json: bool, **arguments: Any) -> Any:
        session = Session(Options(url, as_json).over(ctx.obj))
        with closing(session):
            return function(session, **arguments)

    return connection_options()(cast("Function", click.pass_context(run)))
