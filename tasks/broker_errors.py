"""What an error of a message broker means. Pure; for RabbitMQ (py-amqp) and for a Redis other than the record store.

    blocked       the broker takes no messages from publishers now: its memory or its disk is short
    refused       the broker does not let this user do it, or a queue is missing, locked or declared in another way
    unreachable   no connection, no answer in time, or any other error

All three are waited out: no error of a broker ends a submit, a worker or the maintenance.
"""

from typing import Final, Literal, TypeAlias

from amqp.exceptions import (  # type: ignore[import-untyped]
    AccessRefused,
    AMQPError,
    Blocked,
    ContentTooLarge,
    InvalidPath,
    NotAllowed,
    NotFound,
    PreconditionFailed,
    ResourceLocked,
)
from kombu.exceptions import OperationalError

from jobs.storage.reply_errors import ReplyError, classify, short_reply

BrokerProblem: TypeAlias = Literal["blocked", "refused", "unreachable"]

_REFUSALS: Final = (
    AccessRefused,
    ContentTooLarge,
    InvalidPath,
    NotAllowed,
    NotFound,
    PreconditionFailed,
    ResourceLocked,
)
MAX_PAUSE_SECONDS: Final = 3  # a broker that is back is in use again after at most this time


def broker_problem(error: BaseException) -> BrokerProblem:
    root = _root(error)
    if isinstance(root, Blocked):
        return "blocked"
    if isinstance(root, _REFUSALS) or classify(root) is ReplyError.REFUSED:
        return "refused"
    return "unreachable"


def reply_name(error: BaseException) -> str:
    """The broker's reply in short, e.g. ACCESS_REFUSED or NOPERM:blmpop; without a reply, the kind of error."""
    word = reply_text(error).partition(" ")[0]
    return word if word.isupper() else short_reply(_root(error))


def reply_text(error: BaseException) -> str:
    """RabbitMQ's reply, which names users, queues and virtual hosts, never a password; "" for any other error."""
    root = _root(error)
    return str(root.reply_text or "") if isinstance(root, AMQPError) else ""


def pause_seconds(failures: int) -> int:
    """How long to wait before the next connection, after so many failures in a row: after the first not at all."""
    return min(failures - 1, MAX_PAUSE_SECONDS)


def _root(error: BaseException) -> BaseException:
    """The transport's own error, which kombu may have wrapped."""
    return error.__cause__ if isinstance(error, OperationalError) and error.__cause__ else error
