"""The options --url and --json, which may stand before and after the name of a command."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Options:
    """What they were set to. Those after the name take precedence."""

    url: str | None = None
    as_json: bool = False

    def over(self, other: "Options") -> "Options":
        return Options(url=self.url or other.url, as_json=self.as_json or other.as_json)


def connection_options(*, envvar: str | None = None) -> Callable[[Function], Function]:
    """Options that lead to the server. ``envvar``: where --url is read from if it is absent."""

    def add(function: Function) -> Function:
        url = click.option("--url", metavar="URL", envvar=envvar, help="The server.  [env: CHATQUEUE_URL]")
        json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
        return url(json(function))

    return add
