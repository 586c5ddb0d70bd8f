"""Checks before any process starts. Each raises CannotStart with one line that states the remedy."""

import errno
import re
import socket
import threading
from urllib.parse import urlsplit

import redis
from redis.sentinel import MasterNotFoundError

from guards.private_files import is_open_to_others
from jobs.errors import QueueFull, StoreUnavailable
from jobs.folders import SECRETS_FILE
from jobs.redis_urls import InvalidRedisUrl
from jobs.settings import Settings
from jobs.settings.access import open_to_network
from jobs.settings.loading import variable_name
from jobs.storage.redis_client import connect
from jobs.storage.reply_errors import first_word, is_unknown_database, missing_right
from jobs.storage.rights import ROLES, in_words, missing_rights
from jobs.storage.server_info import server_info
from jobs.storage.sync_store import Store
from local.errors import CannotStart
from local.reasons import system_reason

REDIS_ANSWER_SECONDS = 3.0
_CONNECT_SECONDS = 0.5
_REDIS_ADVICE = "start it, correct REDIS_URL, or unset REDIS_URL to use an embedded server"
_RIGHTS_ADVICE = "see docs/operations.md#rights"
_HOST = r"(?:[\w.-]+|\[[\da-fA-F:.]+\])(?::\d{1,5})?"
_ADDRESS = re.compile(rf"{_HOST}(?:,{_HOST})*|/[^@]*")


def check_access(settings: Settings) -> None:
    """Check that the API is not open to other machines by accident. Raises CannotStart."""
    if problem := open_to_network(settings.web_host, settings):
        raise CannotStart(problem)


def check_ports(settings: Settings) -> None:
    """Check that every port is free and is used once. Raises CannotStart."""
    used_ports: dict[int, str] = {}
    for field, host in addresses(settings).items():
        port = getattr(settings, field)
        if port in used_ports:
            raise CannotStart(f"{used_ports[port]} and {variable_name(field)} are both {port}: change one")
        used_ports[port] = variable_name(field)
        check_port(host, port, variable_name(field))


def addresses(settings: Settings) -> dict[str, str]:
    """The host of each port setting, by the setting's name."""
    loopback = "127.0.0.1"
    addresses = {"embedded_redis_port": loopback} if settings.has_embedded_redis else {}
    if settings.has_offline_model:
        addresses["offline_model_port"] = loopback
    return addresses | {"web_port": settings.web_host, "flower_port": loopback}


def check_port(host: str, port: int, name: str) -> None:
    """Check that this machine can listen there. ``name``: the setting. Raises CannotStart."""
    in_use = f"port {port} on {host} is in use: stop the program that listens there, or set {name} to another port"
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.create_server(address, family=family):  # with SO_REUSEADDR, as the servers themselves do
            pass
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CannotStart(in_use) from None
        problem = f"cannot listen on {host}, port {port} ({error.strerror})"
        raise CannotStart(f"{problem}: change {name} or CHATQUEUE_WEB_HOST") from None
    # macOS allows binding 127.0.0.1 even if another program listens on all addresses (AirPlay does, on port 5000).
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.settimeout(_CONNECT_SECONDS)
        if probe.connect_ex(address) == 0:
            raise CannotStart(in_use)


def check_secrets() -> None:
    """Check that only this user can read the file with the provider's key: editors open files to all.

    Raises CannotStart, which the launcher prints as a warning.
    """
    if is_open_to_others(SECRETS_FILE):
        raise CannotStart(f"other users of this machine can read {SECRETS_FILE}: run chmod 600 {SECRETS_FILE}")


def check_redis(settings: Settings) -> None:
    """Check that Redis can be used, within 3 s, name resolution and TLS included. Raises CannotStart."""
    answer: list[str] = [f"does not answer within 3 s: {_REDIS_ADVICE}"]
    ask = threading.Thread(target=lambda: answer.append(_redis_problem(settings)), daemon=True)
    ask.start()
    ask.join(REDIS_ANSWER_SECONDS)
    if answer[-1]:
        raise CannotStart(f"Redis at {redis_address(settings)} {answer[-1]}")


def redis_hazards(settings: Settings) -> tuple[str, ...]:
    """The settings of Redis that can lose accepted jobs, each with its remedy; none if it cannot be asked."""
    try:
        command = server_info()
        server = command.read(connect(settings).execute_command(*command.arguments))  # type: ignore[no-untyped-call]
        return server.hazards(settings.durability)
    except (redis.RedisError, OSError, KeyError, ValueError):
        return ()


def _redis_problem(settings: Settings) -> str:
    """The problem with Redis and its remedy, without its password; "" if there is none."""
    if problem := _connection_problem(settings):
        return f"{problem}: {_REDIS_ADVICE}"
    store = Store.open(settings)
    try:
        return _problem_in_use(store, settings)
    except StoreUnavailable as error:
        right = missing_right(error.__cause__)
        return f"refuses {right}: {_RIGHTS_ADVICE}" if right else ""  # a refusal that passes is waited for
    except (QueueFull, redis.RedisError):
        return ""
    finally:
        store.close()


def _problem_in_use(store: Store, settings: Settings) -> str:
    """A missing right, or that nothing can be written; "" if neither. Raises the errors of the store."""
    for role in ROLES:
        if missing := store.run(missing_rights(role, settings)):
            return f"does not give its user the rights of the {role} process ({in_words(missing)}): {_RIGHTS_ADVICE}"
    if store.run(server_info()).is_replica:
        return "is a replica and takes no writes: use the address of its primary"
    return ""


def _connection_problem(settings: Settings) -> str:
    """Why PING fails; "" if it does not."""
    try:
        connect(settings).ping()
    except InvalidRedisUrl as error:
        return f"has an invalid address: {error}"
    except redis.TimeoutError:
        return "does not answer within 3 s"
    except redis.exceptions.NoPermissionError:
        pass  # of PING: the next check names it
    except redis.AuthenticationError:
        return "rejects the user or password in REDIS_URL"
    except (redis.RedisError, OSError) as error:
        has_database = not is_unknown_database(error)
        return f"does not answer ({_reason(error)})" if has_database else "has no database of the number in REDIS_URL"
    return ""


def _reason(error: BaseException) -> str:
    if isinstance(error, MasterNotFoundError):
        return "no Sentinel reports a live master of that name"
    return system_reason(error) or first_word(error)  # the type of an error without a reply


def redis_address(settings: Settings) -> str:
    """Host and port, or the path of the socket; never user or password."""
    parts = urlsplit(settings.record_url.get_secret_value())
    address = parts.path if parts.scheme == "unix" else parts.netloc.rpartition("@")[2]
    # A character like / or # in a password splits the URL in the wrong place: then any part of it may be the secret.
    is_misparsed = "@" in address + parts.path + parts.query or parts.fragment != ""
    if is_misparsed or not _ADDRESS.fullmatch(address):
        return "an unreadable address"
    return address
