"""The path below which a proxy publishes the API, such as ``/llm``, and which proxies may name it. Pure."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Final, Self, TypeAlias

_SEGMENT: Final = r"/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+"
_PREFIX: Final = re.compile(rf"(?:{_SEGMENT}){{1,20}}")  # one slash each: two would begin the name of another host
_MAX_CHARS: Final = 200
_ANYBODY: Final = "*"

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


def read_prefix(text: str) -> str:
    """The prefix without a slash at its end; "" for ``/``. Raises ValueError."""
    prefix = text.strip().rstrip("/")
    if prefix and (len(prefix) > _MAX_CHARS or _PREFIX.fullmatch(prefix) is None):
        raise ValueError("must be a path such as /llm: letters, digits, and any of . _ ~ - between single slashes")
    return prefix


def forwarded_prefix(header: str) -> str | None:
    """The prefix of X-Forwarded-Prefix, as the nearest proxy has set it; None if it is malformed."""
    try:
        return read_prefix(header.rpartition(",")[2])
    except ValueError:
        return None


def strip_prefix(path: str, prefix: str) -> str:
    """The path below the prefix; unchanged if a proxy has removed the prefix already."""
    if path == prefix:
        return "/"
    return path.removeprefix(prefix) if path.startswith(f"{prefix}/") else path


@dataclass(frozen=True)
class Forwarders:
    """The proxies whose forwarded headers count, by address or network."""

    networks: tuple[Network, ...] = ()
    are_all: bool = False

    @classmethod
    def read(cls, text: str | None) -> Self:
        """Addresses and networks separated by commas, or ``*``. Raises ValueError."""
        names = [name.strip() for name in (text or "").split(",") if name.strip()]
        try:
            networks = tuple(ipaddress.ip_network(name) for name in names if name != _ANYBODY)
        except ValueError:
            raise ValueError("must be addresses or networks, separated by commas, or *") from None
        return cls(networks, _ANYBODY in names)

    def include(self, address: str) -> bool:
        """Whether this peer is a forwarder. A Unix socket has no address: then only ``*`` includes it."""
        if self.are_all:
            return True
        try:
            peer = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(peer in network for network in self.networks)
