"""What is checked before anything starts. Each raises CannotStart with one line that says what to do."""

import errno
import os
import re
import socket
import ssl
import threading
from urllib.parse import urlsplit

import redis
from redis.sentinel import MasterNotFoundError

from jobs.redis_urls import InvalidRedisUrl
from jobs.settings import Settings
from jobs.storage.redis_client import connect
from local.config import variable
from local.errors import CannotStart

REDIS_ANSWER_SECONDS = 3.0
_CONNECT_SECONDS = 0.5
_HOST = r"(?:[\w.-]+|\[[\da-fA-F:.]+\])(?::\d{1,5})?"
_ADDRESS = re.compile(rf"{_HOST}(?:,{_HOST})*|/[^@]*")


def check_ports(settings: Settings) -> None:
    """Every port that will be used is free and used once."""
    seen: dict[int, str] = {}
    for field, host in _addresses(settings).items():
        port = getattr(settings, field)
        if port in seen:
            raise CannotStart(f"port {port} is given to both {seen[port]} and {variable(field)}: change one")
        seen[port] = variable(field)
        _check_port(host, port, variable(field))


def _addresses(settings: Settings) -> dict[str, str]:
    """Which setting's port is listened on at which host."""
    loopback = "127.0.0.1"
    addresses = {"embedded_redis_port": loopback} if settings.has_embedded_redis else {}
    if settings.has_offline_model:
        addresses["offline_model_port"] = loopback
    return addresses | {"web_port": settings.web_host, "flower_port": loopback}


def _check_port(host: str, port: int, name: str) -> None:
    in_use = f"port {port} on {host} is in use: stop what listens there, or set {name} to another port"
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.create_server(address, family=family):  # with SO_REUSEADDR, as the servers themselves do
            pass
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CannotStart(in_use) from None
        advice = f"cannot listen on {host}, port {port} ({error.strerror})"
        raise CannotStart(f"{advice}: change {name} or CHATQUEUE_WEB_HOST") from None
    # macOS lets us bind 127.0.0.1 beside a listener on all addresses (AirPlay's, on port 5000).
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.settimeout(_CONNECT_SECONDS)
        if probe.connect_ex(address) == 0:
            raise CannotStart(in_use)


def check_redis(settings: Settings) -> None:
    """The Redis of REDIS_URL answers PING within 3 s, whatever it is that takes long."""
    answer: list[str] = ["does not answer within 3 s"]
    ping = threading.Thread(target=lambda: answer.append(_ping(settings)), daemon=True)
    ping.start()
    ping.join(REDIS_ANSWER_SECONDS)
    if answer[-1]:
        advice = "start it, correct REDIS_URL, or unset REDIS_URL to use an embedded server"
        raise CannotStart(f"Redis at {redis_address(settings)} {answer[-1]}: {advice}")


def _ping(settings: Settings) -> str:
    """What is wrong with it, without its password; "" if nothing is."""
    try:
        connect(settings).ping()
    except InvalidRedisUrl as error:
        return f"has no usable address: {error}"
    except redis.TimeoutError:
        return "does not answer within 3 s"
    except redis.AuthenticationError:
        return "refuses the user or password of REDIS_URL"
    except (redis.RedisError, OSError) as error:
        return f"does not answer ({_reason(error)})"
    return ""


def _reason(error: BaseException) -> str:
    cause = error.__cause__ or error.__context__
    if isinstance(cause, ssl.SSLError):  # its errno means something else
        return f"TLS: {cause.reason}"
    if isinstance(error, MasterNotFoundError):
        return "no Sentinel answers with a live master of that name"
    if isinstance(cause, OSError) and cause.errno and cause.errno > 0:
        return os.strerror(cause.errno)
    return type(error).__name__


def redis_address(settings: Settings) -> str:
    """Host and port, or the socket's path: never user or password."""
    parts = urlsplit(settings.record_url.get_secret_value())
    address = parts.path if parts.scheme == "unix" else parts.netloc.rpartition("@")[2]
    # A sign like / or # in a password cuts the URL in the wrong place: then any part of it may be the secret.
    is_cut = "@" in address + parts.path + parts.query or parts.fragment != ""
    if is_cut or not _ADDRESS.fullmatch(address):
        return "an address that cannot be read"
    return address
