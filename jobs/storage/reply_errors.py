"""What an error of Redis means: the one classification for every path that reads or writes.

    passing   Redis cannot do this now: it is unreachable, silent, loading, failing over, out of memory or out of disk
    refused   Redis does not let this user do it: the password or a right is missing, until somebody changes that
    bug       anything else: the same command would fail again

The first two are "not now": the web process answers 503, a worker waits. Only a bug may end an attempt or a worker.
"""

import re
from enum import Enum
from typing import Final

from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    ExternalAuthProviderError,
    OutOfMemoryError,
    RedisError,
)
from redis.exceptions import (
    ConnectionError as RedisConnectionError,
)
from redis.exceptions import (
    TimeoutError as RedisTimeoutError,
)

from jobs.errors import ChatqueueError, StoreUnavailable, no_memory

RETRY_AFTER_SECONDS: Final = 2  # Retry-After of a 503: about as long as a restart of Redis takes

# First words of error replies, by the sources of Redis 7.2 and Valkey 9.1.
_PASSING: Final = frozenset(
    {
        "ASK",  # like MOVED: in a cluster a failover has moved the keys
        "BUSY",  # a script runs for too long
        "CLUSTERDOWN",
        "INPROG",  # a failover is in progress
        "LOADING",
        "MASTERDOWN",
        "MISCONF",  # the append-only file or the snapshot cannot be written, e.g. the disk is full
        "MOVED",
        "NOGOODSLAVE",
        "NOREPLICAS",
        "OOM",
        "READONLY",
        "REDIRECT",  # Valkey's hint that another server is the primary
        "TRYAGAIN",
        "UNBLOCKED",  # the server became a replica while a command waited
    }
)
_MEANING: Final = {  # of the words that a caller or an operator may not know
    "BUSY": "a script runs for too long",
    "LOADING": "it is loading its data",
    "MASTERDOWN": "its primary is away",
    "MISCONF": "it cannot write to its disk",
    "NOREPLICAS": "too few replicas are connected",
    "READONLY": "it is a replica, which takes no writes",
    "UNBLOCKED": "it has become a replica",
}
_ELSEWHERE: Final = frozenset({"MASTERDOWN", "MOVED", "READONLY", "REDIRECT", "UNBLOCKED"})
_REFUSED: Final = frozenset({"DENIED", "NOAUTH", "NOPERM", "WRONGPASS"})
_NOPERM_IN_SCRIPT: Final = ("ACL failure in script", "The user executing the script")  # their first word is ERR
_REFUSED_COMMAND: Final = re.compile(r"'([a-z][a-z0-9|_.-]{0,60})' command")
_REFUSED_ACCESS: Final = {"key": "a key", "channel": "a channel", "database": "the database"}
_SOME_RIGHT: Final = "a right"  # the reply does not name it
_REFUSED_ERRORS: Final = (AuthenticationError, AuthorizationError, ExternalAuthProviderError)


class NotSafe(RedisConnectionError):
    """Redis took a write that has not come as far as the settings ask for; the same command may be sent again."""


class ReplyError(Enum):
    """What an error means; see above."""

    PASSING = "passing"
    REFUSED = "refused"
    BUG = "bug"


def classify(error: BaseException) -> ReplyError:
    """Pure: what this error of redis-py means. An error of anything else is a bug."""
    word = first_word(error)
    if isinstance(error, _REFUSED_ERRORS) or word in _REFUSED:
        return ReplyError.REFUSED
    if isinstance(error, RedisConnectionError | RedisTimeoutError) or word in _PASSING:
        return ReplyError.PASSING
    return ReplyError.BUG


def is_not_now(error: BaseException) -> bool:
    """Whether the same command may succeed later."""
    return classify(error) is not ReplyError.BUG


def must_reconnect(error: object) -> bool:
    """Whether another server may be the primary now, so that the connection is of no use any more."""
    if isinstance(error, RedisConnectionError | RedisTimeoutError):
        return True
    return isinstance(error, RedisError) and first_word(error) in _ELSEWHERE


def first_word(error: BaseException) -> str:
    """The first word of an error reply, e.g. NOREPLICAS; for an error without a reply, the kind of error.

    Safe to log: the rest of a reply may quote keys and arguments.
    """
    if isinstance(error, RedisError):
        if str(error).startswith(_NOPERM_IN_SCRIPT):
            return "NOPERM"
        word = getattr(error, "status_code", None) or str(error).partition(" ")[0]
        if word.isupper() and word.isascii():
            return str(word)
    return type(error).__name__


def missing_right(error: BaseException | None) -> str | None:
    """The right that a refusal names, e.g. `the command info`, or `a right`; None for any other error.

    Safe to log: a key or a channel is not named, and neither is the user.
    """
    if error is None or first_word(error) != "NOPERM":
        return None
    reply = str(error)
    if command := _REFUSED_COMMAND.search(reply):
        return f"the command {command[1]}"
    return next((right for word, right in _REFUSED_ACCESS.items() if re.search(rf"\b{word}", reply)), _SOME_RIGHT)


def short_reply(error: BaseException) -> str:
    """The first word of an error reply, with the missing right if it names one: NOPERM:info. Safe to log."""
    known = getattr(error, "short_reply", None)  # of an error that another error reply has become
    if known is not None:
        return str(known)
    right = missing_right(error)
    return first_word(error) if right in {None, _SOME_RIGHT} else f"{first_word(error)}:{str(right).split()[-1]}"


def is_unknown_database(error: BaseException) -> bool:
    """Whether the server has no database of the number in the URL. Only another URL helps."""
    return "DB index is out of range" in str(error)


def translate(error: RedisError) -> ChatqueueError | RedisError:
    """Our error for "not now". Any other error is returned unchanged: it is a bug."""
    if isinstance(error, OutOfMemoryError):
        return no_memory()
    match classify(error):
        case ReplyError.BUG if is_unknown_database(error):
            reason = "Redis has no database of the number in REDIS_URL; its operator must choose another one"
        case ReplyError.BUG:
            return error
        case ReplyError.REFUSED:
            right = missing_right(error)
            named = f"{first_word(error)}: {right}" if right else first_word(error)
            reason = f"Redis refuses a command of this server ({named}); its operator must allow it"
        case ReplyError.PASSING if isinstance(error, NotSafe):
            reason = f"{error}; try again later"
        case ReplyError.PASSING if isinstance(error, RedisTimeoutError):
            reason = "Redis does not answer; try again later"
        case ReplyError.PASSING if first_word(error) in _PASSING:
            word = first_word(error)
            meaning = f"{word}: {_MEANING[word]}" if word in _MEANING else word
            reason = f"Redis cannot serve this now ({meaning}); try again later"
        case ReplyError.PASSING:
            reason = "Redis cannot be reached; try again later"
    return StoreUnavailable(reason, retry_after_seconds=RETRY_AFTER_SECONDS)
