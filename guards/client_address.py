"""The address of a client, also behind the proxies that are configured. Pure."""

from collections.abc import Mapping
from typing import Any

from guards.path_prefix import Forwarders


def client_address(environ: Mapping[str, Any], forwarders: Forwarders) -> str:
    """The peer, or the last address of X-Forwarded-For that is no proxy of ours. "" for the peer of a Unix socket.

    A client can put anything at the beginning of that header. What counts is what our own proxies have added at the
    end.
    """
    address: str = environ.get("REMOTE_ADDR", "")
    forwarded = [part.strip() for part in environ.get("HTTP_X_FORWARDED_FOR", "").split(",") if part.strip()]
    while forwarded and forwarders.include(address):
        address = forwarded.pop()
    return address
