"""Paths of /v1 that a client has put together with a slash too many, as from a base URL that ends with one."""

import re
from collections.abc import Callable, Iterable
from typing import Any, Final

from flask import Flask

_PREFIX: Final = re.compile(r"/+v1/")
_SLASHES: Final = re.compile(r"/{2,}")


def install(app: Flask) -> None:
    """Answer such a path. Flask would redirect, and few clients send a body again."""
    app.wsgi_app = _with_single_slashes(app.wsgi_app)  # type: ignore[method-assign]  # Flask's documented way


def _with_single_slashes(wsgi_app: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    def app(environ: Any, start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if "//" in path and _PREFIX.match(path):
            environ["PATH_INFO"] = _SLASHES.sub("/", path)
        return wsgi_app(environ, start_response)

    return app
