"""The rights of a Redis user that web processes and workers need, and a check that runs none of the commands.

docs/operations.md#rights lists the same rights for an ACL file; a test compares the two.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from jobs.redis_urls import read
from jobs.settings import Settings
from jobs.storage import keys
from jobs.storage.commands import Command, script_command

Role: TypeAlias = Literal["web", "worker"]
ROLES: Final[tuple[Role, ...]] = ("web", "worker")

# The arguments after the key, for each command whose first argument is a key. All that it needs: see rights.lua.
_ARGUMENTS: Final = {
    "del": "",
    "exists": "",
    "expire": "1",
    "get": "",
    "hdel": "f",
    "hget": "f",
    "hgetall": "",
    "hincrby": "f 1",
    "hkeys": "",
    "hlen": "",
    "hmget": "f",
    "hset": "f v",
    "incr": "",
    "llen": "",
    "lpush": "v",
    "lrange": "0 1",
    "lset": "0 v",
    "ltrim": "0 1",
    "pexpire": "1",
    "rpush": "v",
    "sadd": "v",
    "set": "v",
    "smembers": "",
    "srem": "v",
    "type": "",
    "zadd": "1 v",
    "zcard": "",
    "zcount": "0 1",
    "zmscore": "v",
    "zrange": "0 1",
    "zrangebyscore": "0 1",
    "zrank": "v",
    "zrem": "v",
    "zremrangebyscore": "0 1",
    "zrevrange": "0 1",
    "zrevrangebyscore": "0 1",
    "zscore": "v",
}
_CONTAINERS: Final = frozenset({"pubsub", "script"})  # an ACL rule names their subcommands
_WORKER_ONLY: Final = frozenset({"hkeys", "hlen", "smembers", "zcount"})
_SCRIPTS: Final = ("eval x 1 {key}", "evalsha x 1 {key}")
_COMMANDS: Final[dict[Role, tuple[str, ...]]] = {
    "web": ("ping", "time", "pubsub numsub {key}"),
    "worker": ("ping", "time", "info"),  # without INFO a web process only lacks a part of its health report
}
_BROKER_COMMANDS: Final[dict[Role, tuple[str, ...]]] = {
    "web": (),
    "worker": ("multi", "exec", "script load x", "script exists x", "blmpop 1 1 {key} right"),
}
_RECORD_KEYS: Final = f"{keys.NAMESPACE}*"  # and channels
_RESULT_KEYS: Final = keys.result("*")  # and channels
_BROKER_KEYS: Final[dict[Role, tuple[str, ...]]] = {
    "web": (f"{keys.DEFAULT_QUEUE}*",),
    "worker": (f"{keys.DEFAULT_QUEUE}*", "_kombu.binding*", "*.celery.pidbox", "celeryev.*"),
}
_CHANNELS: Final = (
    f"publish {_RECORD_KEYS}",
    f"publish {_RESULT_KEYS}",
    f"subscribe {_RECORD_KEYS}",
    f"unsubscribe {_RECORD_KEYS}",
)
_BROKER_CHANNELS: Final[dict[Role, tuple[str, ...]]] = {
    "web": (),
    "worker": (
        "publish /{db}.celery.pidbox",
        "publish /{db}.celeryev/*",
        "subscribe /{db}.celery.pidbox",
        "psubscribe /{db}.celeryev/worker.*",
        "punsubscribe /{db}.celeryev/worker.*",
    ),
}
_MAX_NAMED: Final = 8


@dataclass(frozen=True)
class Check:
    """A right in words, and a command that needs it, with all of its arguments."""

    right: str
    command: str
    is_command_on_records: bool = False


def missing_rights(role: Role, settings: Settings) -> Command[tuple[str, ...]]:
    """The rights that this role needs and that the user in REDIS_URL lacks, in words.

    Covers the record store: another broker reports its own refusals. A user who may not run scripts at all gets the
    error NOPERM instead.
    """
    checks = checks_of(role, settings)
    return script_command(
        "rights",
        keys={},
        args={"commands": [check.command for check in checks]},
        read=lambda numbers: _rights([checks[number - 1] for number in numbers]),
    )


def in_words(missing: Sequence[str]) -> str:
    """The missing rights as the end of a sentence: the first few, and how many more."""
    more = len(missing) - _MAX_NAMED
    return ", ".join(missing[:_MAX_NAMED]) + (f" and {more} more" if more > 0 else "")


def checks_of(role: Role, settings: Settings) -> list[Check]:
    """Pure: what this role needs with these settings."""
    is_broker = settings.broker_is_record_store
    db = read(settings.record_url.get_secret_value()).db
    patterns = (_RECORD_KEYS, _RESULT_KEYS, *(_BROKER_KEYS[role] if is_broker else ()))
    commands = (*_COMMANDS[role], *_by_settings(settings, db), *(_BROKER_COMMANDS[role] if is_broker else ()))
    channels = (*_CHANNELS, *(_BROKER_CHANNELS[role] if is_broker else ()))
    return [
        *(Check(f"the keys {pattern}", f"evalsha x 1 {_sample(pattern)}") for pattern in patterns),
        *(_command_check(command) for command in (*commands, *_commands_on_keys(role))),
        *(_channel_check(channel.format(db=db)) for channel in channels),
    ]


def _commands_on_keys(role: Role) -> Iterator[str]:
    yield from (*_SCRIPTS, "sunion {key}", "zunionstore {key} 1 {key}")
    for name, arguments in _ARGUMENTS.items():
        if role == "worker" or name not in _WORKER_ONLY:
            yield f"{name} {{key}} {arguments}"


def _by_settings(settings: Settings, db: int) -> Iterator[str]:
    """``auto`` needs WAIT only where Redis has replicas. Without the right, such writes are reported as not safe."""
    if settings.durability == "disk":
        yield "waitaof 1 0 1"
    elif settings.durability.startswith("replicas="):
        yield "wait 1 1"
    if not settings.broker_is_record_store:
        yield "lpop {key}"  # the ids that wait to be published
    if db:
        yield f"select {db}"


def _command_check(command: str) -> Check:
    name, *arguments = command.split()
    if name in _CONTAINERS:
        name = f"{name}|{arguments[0]}"
    return Check(f"the command {name}", command.format(key=_sample(_RECORD_KEYS)), "{key}" in command)


def _channel_check(line: str) -> Check:
    name, channel = line.split()
    is_pattern = name in {"psubscribe", "punsubscribe"}
    message = " v" if name == "publish" else ""
    return Check(
        f"the command {name} on the channels {channel}",
        f"{name} {channel if is_pattern else _sample(channel)}{message}",
    )


def _sample(pattern: str) -> str:
    """A key or channel that matches the pattern."""
    return pattern.replace("*", "x")


def _rights(denied: list[Check]) -> tuple[str, ...]:
    """The missing rights. While the records' keys are not allowed, nothing is known about commands on them."""
    rights = [check.right for check in denied]
    if f"the keys {_RECORD_KEYS}" in rights:
        rights = [check.right for check in denied if not check.is_command_on_records]
    return tuple(rights)
