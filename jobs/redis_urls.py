"""Parses a Redis URL once, and writes it in the form that each library expects.

Three libraries read REDIS_URL, and they disagree. redis-py supports no Sentinel URL. kombu and Celery's result backend
separate Sentinels by ``;`` and take the master's name separately. For rediss:// without options kombu checks no
certificate, and Celery refuses the URL. Both call a socket redis+socket:// and fail on options that redis-py accepts.
This module is used by jobs.storage.redis_client (for redis-py), by celeryconfig (for kombu and Celery) and by
jobs.settings (to compare the broker with the record store). It opens no connection.

    redis://[user:password@]host[:port][/db]        options of redis-py may follow
    rediss://...[?ssl_ca_certs=/path&...]           TLS; the certificate is checked unless ssl_cert_reqs=none
    unix://[user:password@]/path[?db=N]
    sentinel://[user:password@]host[:port],...[/db]?master=NAME      user and password of the master, no TLS
"""

import re
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

REDIS_SCHEMES: Final = ("redis://", "rediss://", "unix://", "sentinel://")
_SENTINEL_PORT: Final = 26379
_SENTINELS: Final = re.compile(
    r"sentinel://(?:(?P<user>[^:@/?#]*)(?::(?P<password>[^@/?#]*))?@)?(?P<nodes>[^@/?#]+)/?(?P<db>\d*)(?:\?(?P<query>.*))?"
)
_NODE: Final = re.compile(r"(?:\[(?P<ip6>[\da-fA-F:.]+)\]|(?P<host>[\w.-]+))(?::(?P<port>\d{1,5}))?")
_SENTINELS_EXPECTED: Final = "expected sentinel://[user:password@]host[:port],host[:port]/db?master=NAME"
_CERT_REQS: Final = {
    "CERT_REQUIRED": "required",
    "CERT_OPTIONAL": "optional",
    "CERT_NONE": "none",
}  # Celery's name: redis-py's name


class InvalidRedisUrl(ValueError):
    """The message states what is expected and quotes no part of the URL: any part may be a password."""


@dataclass(frozen=True)
class RedisUrl:
    """A parsed URL. ``nodes`` are Sentinels when there is a ``master``, else one server; empty for a socket."""

    nodes: tuple[tuple[str, int], ...]
    db: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    master: str | None = None
    socket_path: str | None = None
    tls: dict[str, Any] | None = field(default=None, repr=False)  # redis-py's ssl_ options; None: no TLS
    options: dict[str, Any] = field(default_factory=dict, repr=False)  # other options, for redis-py alone

    @property
    def server_url(self) -> str:
        """The URL for redis-py, without options. Not for Sentinels."""
        if self.socket_path is not None:
            return f"unix://{self.credentials}{quote(self.socket_path)}?db={self.db}"
        ((host, port),) = self.nodes
        return f"redis{'s' if self.tls else ''}://{self.credentials}{_node(host, port)}/{self.db}"

    @property
    def credentials(self) -> str:
        """``user:password@``, %-encoded; "" when there are none."""
        if self.username is None and self.password is None:
            return ""
        password = "" if self.password is None else f":{quote(self.password, safe='')}"
        return f"{quote(self.username or '', safe='')}{password}@"

    def sentinel_options(self, seconds: float) -> dict[str, Any]:
        """Timeouts that allow each Sentinel to be tried once within ``seconds``, even if all but one are dead."""
        each = seconds / len(self.nodes)
        return {"socket_connect_timeout": each, "socket_timeout": each, "retry": None}


@dataclass(frozen=True)
class CeleryUrl:
    """A URL in Celery's form, with the options that Celery takes separately. ``tls`` is None without TLS."""

    url: str = field(repr=False)
    transport_options: dict[str, Any] = field(default_factory=dict)
    tls: dict[str, Any] | None = field(default=None, repr=False)


def read(url: str) -> RedisUrl:
    """Parse a URL with one of REDIS_SCHEMES. Raises InvalidRedisUrl."""
    try:
        return _read_sentinels(url) if url.startswith("sentinel://") else _read_server(url)
    except InvalidRedisUrl:
        raise
    except ValueError:  # its message may quote a part of the URL
        expected = "expected redis://[user:password@]host[:port][/db], special characters %-encoded"
        raise InvalidRedisUrl(expected) from None


def check_form(url: str) -> None:
    """Raises InvalidRedisUrl for what can be found without redis: wrong ports, databases, TLS options and Sentinels.

    redis-py would take a database that is no number for database 0.

    Does not import redis, so that the settings may call it before gevent patches the standard library. A URL of another
    kind of server passes.
    """
    if url.startswith("sentinel://"):
        _read_sentinels(url)
    if not url.startswith(("redis://", "rediss://", "unix://")):
        return
    parts = urlsplit(url)
    if parts.hostname and not _has_valid_port(parts):
        raise InvalidRedisUrl("the port must be a number, and characters such as : in a password must be %-encoded")
    options = dict(parse_qsl(parts.query))
    tls = {name: value for name, value in options.items() if name.startswith("ssl_")}
    _validated_tls(tls, is_requested=parts.scheme == "rediss")
    databases = options.get("db", "0"), "0" if parts.scheme == "unix" else parts.path.strip("/")
    if not all(re.fullmatch(r"[0-9]*", database) for database in databases):
        raise InvalidRedisUrl(
            "the database after the host must be a number, and characters such as / in a password must be %-encoded"
        )


def _has_valid_port(parts: SplitResult) -> bool:
    try:
        return parts.port != 0
    except ValueError:
        return False


def for_broker(url: str, sentinel_seconds: float) -> CeleryUrl:
    """The URL for kombu. A URL of another kind of broker is unchanged. Raises InvalidRedisUrl."""
    return _for_celery(url, sentinel_seconds, repeats_credentials=True)  # kombu uses the next URL for the next Sentinel


def for_backend(url: str, sentinel_seconds: float) -> CeleryUrl:
    """The URL for Celery's result backend. Raises InvalidRedisUrl."""
    return _for_celery(url, sentinel_seconds, repeats_credentials=False)  # `inspect conf` masks only the first


def is_same_database(url: str, other: str) -> bool:
    """True if both URLs name the same database of the same Redis. Raises InvalidRedisUrl.

    Host names are not resolved: two different names count as two servers.
    """
    if url == other:
        return True
    are_redis = url.startswith(REDIS_SCHEMES) and other.startswith(REDIS_SCHEMES)
    return are_redis and _location(read(url)) == _location(read(other))


def _location(url: RedisUrl) -> tuple[object, ...]:
    return frozenset(url.nodes), url.socket_path, url.master, url.db


def _read_server(url: str) -> RedisUrl:
    # Not at module level: gunicorn imports this module before gevent patches the modules that redis imports.
    from redis.connection import parse_url

    parsed = parse_url(url)  # type: ignore[no-untyped-call]
    parsed.pop("connection_class", None)
    path = parsed.pop("path", None)
    address = (parsed.pop("host", "localhost"), parsed.pop("port", 6379))
    tls = {name: parsed.pop(name) for name in list(parsed) if name.startswith("ssl_")}
    return RedisUrl(
        nodes=() if path else (address,),
        db=parsed.pop("db", 0),
        username=parsed.pop("username", None),
        password=parsed.pop("password", None),
        socket_path=path,
        tls=_validated_tls(tls, is_requested=url.startswith("rediss://")),
        options=parsed,
    )


def _validated_tls(tls: dict[str, Any], *, is_requested: bool) -> dict[str, Any] | None:
    """The options with an explicit ssl_cert_reqs, since kombu and Celery have other defaults; None without TLS."""
    if not is_requested:
        if tls:
            raise InvalidRedisUrl("options that begin with ssl_ need rediss://")
        return None
    requested = tls.get("ssl_cert_reqs", "required")
    cert_reqs = _CERT_REQS.get(requested, requested)
    if cert_reqs not in _CERT_REQS.values():
        raise InvalidRedisUrl("ssl_cert_reqs must be required, optional or none")
    return {**tls, "ssl_cert_reqs": cert_reqs}


def _read_sentinels(url: str) -> RedisUrl:
    parts = _SENTINELS.fullmatch(url)
    options = dict(parse_qsl(parts["query"] or "")) if parts else {}
    master = options.pop("master", None)
    if parts is None or not master:
        raise InvalidRedisUrl(_SENTINELS_EXPECTED)
    if options:  # above all no ssl_ option: connecting without TLS would be worse than not connecting
        raise InvalidRedisUrl("sentinel:// takes no option except master, and no TLS")
    return RedisUrl(
        nodes=tuple(_read_node(node) for node in parts["nodes"].split(",")),
        db=int(parts["db"] or 0),
        username=unquote(parts["user"] or "") or None,
        password=unquote(parts["password"] or "") or None,
        master=master,
    )


def _read_node(text: str) -> tuple[str, int]:
    parts = _NODE.fullmatch(text)
    if parts is None:
        raise InvalidRedisUrl(_SENTINELS_EXPECTED)
    return (parts["ip6"] or parts["host"]).lower(), int(parts["port"] or _SENTINEL_PORT)


def _for_celery(url: str, sentinel_seconds: float, *, repeats_credentials: bool) -> CeleryUrl:
    if not url.startswith(REDIS_SCHEMES):
        return CeleryUrl(url)
    redis_url = read(url)
    if redis_url.socket_path is not None:
        path = quote(redis_url.socket_path)
        return CeleryUrl(f"redis+socket://{redis_url.credentials}{path}?virtual_host={redis_url.db}")
    if redis_url.master is None:
        return CeleryUrl(redis_url.server_url, tls=redis_url.tls)
    sentinels = (
        f"sentinel://{redis_url.credentials if repeats_credentials or place == 0 else ''}{_node(*node)}/{redis_url.db}"
        for place, node in enumerate(redis_url.nodes)
    )
    sentinel_kwargs = redis_url.sentinel_options(sentinel_seconds)
    return CeleryUrl(";".join(sentinels), {"master_name": redis_url.master, "sentinel_kwargs": sentinel_kwargs})


def _node(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
