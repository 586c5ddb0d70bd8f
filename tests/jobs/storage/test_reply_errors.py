"""The classification of Redis' error replies: what is waited out, what needs an operator, and what is a bug."""

import pytest
import redis
from redis._parsers.base import BaseParser

from jobs.errors import QueueFull, StoreUnavailable
from jobs.storage.reply_errors import (
    ReplyError,
    classify,
    first_word,
    is_not_now,
    missing_right,
    short_reply,
    translate,
)

PASSING = [
    "BUSY Valkey is busy running a script.",
    "CLUSTERDOWN The cluster is down",
    "ERR max number of clients reached",
    "LOADING Redis is loading the dataset in memory",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "MISCONF Errors writing to the AOF file: No space left on device",
    "MOVED 3999 127.0.0.1:6381",
    "NOREPLICAS Not enough good replicas to write. script: on @user_script:1.",
    "OOM command not allowed when used memory > 'maxmemory'.",
    "READONLY You can't write against a read only replica.",
    "TRYAGAIN Multiple keys request during rehashing of slot",
    "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
]
REFUSED = [
    "NOAUTH Authentication required.",
    "NOPERM User u has no permissions to run the 'blmpop' command",
    "ERR ACL failure in script: No permissions to access a key script: on @user_script:1.",
    "ERR The user executing the script can't run this command or subcommand",
    "WRONGPASS invalid username-password pair or user is disabled.",
    "DENIED Redis is running in protected mode because protected mode is enabled",
]
BUGS = [
    "ERR unknown command 'BLMPOP'",
    "ERR wrong number of arguments for 'get' command",
    "WRONGTYPE Operation against a key holding the wrong kind of value",
    "NOSCRIPT No matching script.",
    "CROSSSLOT Keys in request don't hash to the same slot",
]


def as_raised(reply: str) -> redis.RedisError:
    """The exception that redis-py raises for this reply."""
    error = BaseParser.parse_error(reply)
    assert isinstance(error, redis.RedisError)
    return error


@pytest.mark.parametrize(
    ("reply", "meaning"),
    [(reply, ReplyError.PASSING) for reply in PASSING]
    + [(reply, ReplyError.REFUSED) for reply in REFUSED]
    + [(reply, ReplyError.BUG) for reply in BUGS],
)
def test_each_reply_has_one_meaning(reply, meaning):
    """A reply is waited out, needs an operator, or is a bug."""
    assert classify(as_raised(reply)) is meaning


@pytest.mark.parametrize("error", [redis.ConnectionError("gone"), redis.TimeoutError("silent")])
def test_a_lost_connection_is_passing(error):
    """Without a reply the same command may succeed later."""
    assert is_not_now(error)


def test_an_error_of_other_code_is_a_bug():
    """Only Redis' own errors are waited out."""
    assert not is_not_now(ValueError("READONLY of something else"))


@pytest.mark.parametrize("reply", [*PASSING, *REFUSED])
def test_the_503_states_which_reply_it_was(reply):
    """An operator learns from the answer where to look; the rest of the reply, which may quote keys, is left out."""
    error = as_raised(reply)
    translated = translate(error)

    if reply.startswith("OOM"):
        assert isinstance(translated, QueueFull)
        return
    assert isinstance(translated, StoreUnavailable)
    assert translated.retry_after_seconds
    if not reply.startswith("ERR max"):  # the server closes such a connection
        assert f"({first_word(error)}" in translated.message
    assert reply.partition(" ")[2] not in translated.message


def test_a_right_missing_within_a_script_is_named_as_such():
    """Redis reports it with ERR as its first word."""
    assert first_word(as_raised("ERR ACL failure in script: No permissions to access a key")) == "NOPERM"


@pytest.mark.parametrize(
    ("reply", "right", "logged"),
    [
        (
            "NOPERM User u has no permissions to run the 'client|info' command",
            "the command client|info",
            "NOPERM:client|info",
        ),
        (
            "NOPERM this user has no permissions to run the 'info' command or its subcommand",
            "the command info",
            "NOPERM:info",
        ),
        (
            "ERR ACL failure in script: User u has no permissions to run the 'hset' command",
            "the command hset",
            "NOPERM:hset",
        ),
        ("NOPERM No permissions to access a key", "a key", "NOPERM:key"),
        ("NOPERM No permissions to access a channel", "a channel", "NOPERM:channel"),
        ("NOPERM in words that no version uses yet", "a right", "NOPERM"),
    ],
)
def test_a_refusal_names_the_missing_right(reply, right, logged):
    """The operator learns which right to give, in the 503 and in the log. The name of the user stays out of both."""
    error = as_raised(reply)

    assert missing_right(error) == right
    assert short_reply(error) == logged
    assert f"(NOPERM: {right})" in translate(error).message


def test_another_error_names_no_right():
    """Only a refusal does."""
    assert missing_right(as_raised("READONLY You can't write")) is None
    assert missing_right(None) is None


def test_a_database_that_does_not_exist_is_a_wrong_setting():
    """It is no bug: a caller gets 503, and the message names the setting."""
    translated = translate(as_raised("ERR DB index is out of range"))

    assert isinstance(translated, StoreUnavailable)
    assert "REDIS_URL" in translated.message


def test_a_bug_is_not_translated():
    """It must be seen as what it is."""
    error = as_raised("ERR unknown command 'BLMPOP'")
    assert translate(error) is error
