"""Serves the app below a path prefix, so that links, redirects and Location headers are right behind a proxy.

The prefix is the setting SCRIPT_NAME, or X-Forwarded-Prefix of a proxy in FORWARDED_ALLOW_IPS. The proxy may remove the
prefix from the path or leave it: both work. A server other than gunicorn may set WSGI's SCRIPT_NAME itself.
"""

from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask

from guards.path_prefix import Forwarders, forwarded_prefix, strip_prefix
from jobs.settings import Settings


def install(app: Flask, settings: Settings) -> None:
    """Call it last: it must see a request before any other part of the app."""
    configured, forwarders = settings.path_prefix or "", Forwarders.read(settings.forwarded_allow_ips)
    if configured or forwarders.networks or forwarders.are_all:
        app.wsgi_app = _prefixed(app.wsgi_app, configured, forwarders)  # type: ignore[method-assign]  # as Flask documents


def _prefixed(
    wsgi_app: Callable[..., Iterable[bytes]], configured: str, forwarders: Forwarders
) -> Callable[..., Iterable[bytes]]:
    def prefixed_app(environ: Any, start_response: Callable[..., Any]) -> Iterable[bytes]:
        prefix = _forwarded(environ, forwarders) or configured
        if prefix and not environ.get("SCRIPT_NAME"):
            environ["SCRIPT_NAME"] = prefix
            environ["PATH_INFO"] = strip_prefix(environ.get("PATH_INFO", ""), prefix)
        return wsgi_app(environ, start_response)

    return prefixed_app


def _forwarded(environ: Any, forwarders: Forwarders) -> str | None:
    header = environ.get("HTTP_X_FORWARDED_PREFIX")
    if header is None or not forwarders.include(environ.get("REMOTE_ADDR", "")):
        return None
    return forwarded_prefix(header)
