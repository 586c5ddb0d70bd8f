"""Decides which requests a web page in a browser on this network may cause. Pure: no framework, no I/O.

A page of any site can send requests to a service on the user's own machine. Three headers give it away, and a page
cannot change them: Host, Origin and Sec-Fetch-Site. Other clients send no Origin and no Sec-Fetch-Site.

- Host: after DNS rebinding the browser believes that the service belongs to the page's site, but it still sends the
  name of that site. So only known names are answered.
- Origin and Sec-Fetch-Site: a form or a script of another site can send a request without asking first.
"""

import re
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Final, Self
from urllib.parse import urlsplit

LOOPBACK_NAMES: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})
ANY_HOST: Final = "*"
SECURITY_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "frame-ancestors 'none'; base-uri 'none'; object-src 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",  # another site's page can embed no answer, not even as an image
    "Referrer-Policy": "no-referrer",
}
_WILDCARD_ADDRESSES: Final = ("", "0.0.0.0", "::")  # noqa: S104  # compared with, not listened on
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITES: Final = frozenset({"same-origin", "none"})  # values of Sec-Fetch-Site; none: the user typed the address
_HOST: Final = re.compile(r"(\[[0-9a-f:.]{2,45}\]|[^\s:\[\]/@?#\\,]{1,253})(?::\d{1,5})?", re.IGNORECASE)
_IP_ADDRESS: Final = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-f:.]+\]")
_ORIGIN: Final = re.compile(r"https?://[^\s/?#@\\*,]+", re.IGNORECASE)
_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}


class Refusal(Enum):
    """Why a request is refused."""

    NO_HOST = "the header Host is missing"
    UNKNOWN_HOST = (
        "this name of the server is not allowed: use 127.0.0.1 or localhost, or add the name to CHATQUEUE_ALLOWED_HOSTS"
    )
    CROSS_SITE = (
        "requests of another site's pages are not allowed: "
        "if the page is yours, add its origin to CHATQUEUE_CORS_ORIGINS"
    )


def host_name(host: str) -> str | None:
    """The name in a Host header, in lower case and without port; None if it is malformed."""
    match = _HOST.fullmatch(host)
    return match[1].lower().removesuffix(".") if match else None


def is_ip_address(host: str) -> bool:
    """True if the Host header has an address, as a probe sends it. DNS rebinding needs a name."""
    name = host_name(host)
    return name is not None and _IP_ADDRESS.fullmatch(name) is not None


def read_names(text: str | None) -> frozenset[str]:
    """Host names separated by commas, or ``*``. Raises ValueError for a malformed one."""
    names = [name.strip() for name in (text or "").split(",") if name.strip()]
    for name in names:
        if host_name(name) != name.lower().removesuffix("."):
            raise ValueError("must be host names without scheme and port, separated by commas")
    return frozenset(name.lower().removesuffix(".") for name in names)


def read_origins(text: str | None) -> frozenset[str]:
    """Origins such as ``https://chat.example``, separated by commas. Raises ValueError for anything else."""
    origins = [origin.strip().lower() for origin in (text or "").split(",") if origin.strip()]
    if not all(map(_ORIGIN.fullmatch, origins)):
        raise ValueError("must be origins such as https://chat.example, separated by commas; `*` is not allowed")
    return frozenset(origins)


@dataclass(frozen=True)
class BrowserPolicy:
    """Which hosts are answered, and which origins' pages may send requests.

    ``named_hosts`` are those that the operator named. A page whose origin has one of these names is served by a proxy
    in front, so it may send requests even if the proxy changes Host.
    """

    hosts: frozenset[str]
    named_hosts: frozenset[str] = frozenset()
    cors_origins: frozenset[str] = frozenset()

    @classmethod
    def of(cls, bind_host: str, allowed_hosts: str | None, cors_origins: str | None) -> Self:
        """The policy of a server that listens on ``bind_host``. Raises ValueError for a malformed list."""
        named = read_names(allowed_hosts)
        own_name = f"[{bind_host}]" if ":" in bind_host else bind_host.lower()
        own = frozenset() if bind_host in _WILDCARD_ADDRESSES else frozenset({own_name})
        return cls(LOOPBACK_NAMES | named | own, named - {ANY_HOST}, read_origins(cors_origins))

    def refuse_host(self, host: str | None, protocol: str = "HTTP/1.1") -> Refusal | None:
        """The reason to refuse a request to this host; None if it is allowed. ``protocol`` is the request's version."""
        if not host:
            return Refusal.NO_HOST if protocol != "HTTP/1.0" else Refusal.UNKNOWN_HOST
        return None if self._is_known(host) else Refusal.UNKNOWN_HOST

    def refuse_site(self, method: str, host: str | None, origin: str | None, fetch_site: str | None) -> Refusal | None:
        """The reason to refuse a request because of the page that sends it; None if it is allowed."""
        if method in _SAFE_METHODS or (origin is None and fetch_site is None):
            return None
        if origin is not None and self.allows_cors(origin):
            return None
        if fetch_site is not None and fetch_site not in _OWN_SITES:
            return Refusal.CROSS_SITE
        if origin is not None and not self._is_own_origin(origin, host or ""):
            return Refusal.CROSS_SITE
        return None

    def allows_cors(self, origin: str) -> bool:
        """True if pages of this origin may read answers."""
        return origin.lower() in self.cors_origins

    def _is_known(self, host: str) -> bool:
        return _name_is_in(host, self.hosts)

    def _is_own_origin(self, origin: str, host: str) -> bool:
        if not _ORIGIN.fullmatch(origin):  # also "null", the origin of a sandboxed frame
            return False
        scheme, netloc = urlsplit(origin.lower())[:2]
        port = f":{_DEFAULT_PORTS[scheme]}"
        return netloc.removesuffix(port) == host.lower().removesuffix(port) or host_name(netloc) in self.named_hosts


@lru_cache(maxsize=256)  # most requests have the same host
def _name_is_in(host: str, names: frozenset[str]) -> bool:
    name = host_name(host)
    return name is not None and (name in names or ANY_HOST in names)
