"""What the errors of a broker mean, for RabbitMQ and for a Redis other than the record store."""

import pytest
from amqp.exceptions import (  # type: ignore[import-untyped]
    AccessRefused,
    Blocked,
    ConnectionForced,
    NotAllowed,
    NotFound,
    PreconditionFailed,
)
from kombu.exceptions import OperationalError
from redis.exceptions import NoPermissionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from tasks.broker_errors import broker_problem, pause_seconds, reply_name, reply_text

REFUSED = "ACCESS_REFUSED - access to queue 'chatqueue' refused for user 'guest'"


@pytest.mark.parametrize(
    ("error", "problem", "name"),
    [
        (Blocked("connection blocked, see broker logs"), "blocked", "Blocked"),
        (AccessRefused(REFUSED), "refused", "ACCESS_REFUSED"),
        (NotAllowed("NOT_ALLOWED - access to vhost '/' refused"), "refused", "NOT_ALLOWED"),
        (NotFound("NOT_FOUND - no queue 'chatqueue' in vhost '/'"), "refused", "NOT_FOUND"),
        (PreconditionFailed("PRECONDITION_FAILED - inequivalent arg"), "refused", "PRECONDITION_FAILED"),
        (ConnectionForced("CONNECTION_FORCED - closed"), "unreachable", "CONNECTION_FORCED"),
        (NoPermissionError("NOPERM this user has no permissions"), "refused", "NOPERM"),
        (NoPermissionError("NOPERM User u has no permissions to run the 'lpush' command"), "refused", "NOPERM:lpush"),
        (RedisTimeoutError("Timeout reading from socket"), "unreachable", "TimeoutError"),
        (TimeoutError("timed out"), "unreachable", "TimeoutError"),
        (ConnectionRefusedError(111, "Connection refused"), "unreachable", "ConnectionRefusedError"),
    ],
)
def test_an_error_has_a_meaning_and_a_name(error, problem, name):
    """The name is the first word of the broker's reply where there is one."""
    assert (broker_problem(error), reply_name(error)) == (problem, name)


def test_an_error_that_kombu_has_wrapped_keeps_its_meaning():
    """kombu raises its own error from the transport's; the transport's says what has happened."""
    wrapped = OperationalError("wrapped")
    wrapped.__cause__ = AccessRefused(REFUSED)

    assert (broker_problem(wrapped), reply_name(wrapped)) == ("refused", "ACCESS_REFUSED")


def test_only_the_text_of_a_reply_of_rabbitmq_is_shown():
    """The text of an error of Redis may quote keys and arguments."""
    assert reply_text(AccessRefused(REFUSED)) == REFUSED
    assert reply_text(NoPermissionError("NOPERM key cq:job:1")) == ""


def test_the_first_failure_is_followed_by_a_try_at_once_and_the_pauses_stay_short():
    """A connection that an idle network has dropped costs no time, and a broker that is back is used again soon."""
    pauses = [pause_seconds(failures) for failures in range(1, 100)]

    assert pauses[:3] == [0, 1, 2]
    assert max(pauses) == 3
