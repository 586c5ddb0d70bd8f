"""What a request needs, what a worker can do, and the fields that an older worker may ignore."""

from typing import ClassVar, Literal

import pytest

from jobs.errors import RequestUnreadable
from jobs.kinds import ABILITIES, KINDS, needs_of, read_request, write_request
from jobs.kinds.chat import ChatTask
from jobs.kinds.needs import FIRST_FIELDS, abilities_of
from jobs.requests import Limits


class NewLimits(Limits):
    total_tokens: int | None = None


class NewChat(ChatTask):
    """The chat of a newer version."""

    ignorable_fields: ClassVar[frozenset[str]] = frozenset({"trace"})

    kind: Literal["chat"]
    limits: NewLimits | None = None
    audio: bool = False
    trace: str | None = None


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_every_kind_knows_its_first_fields(kind):
    """A typing error here would make every request of the kind wait for a worker that does not exist."""
    nested = {f"limits.{name}" for name in Limits.model_fields}

    assert set(kind.request.model_fields) | nested >= FIRST_FIELDS[kind.name]


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_a_kind_keeps_the_ignorable_fields_of_its_bases(kind):
    """A kind that declares its own would otherwise wait for a worker that has the fields of its base."""
    inherited = [getattr(base, "ignorable_fields", frozenset()) for base in kind.request.__mro__]

    assert kind.request.ignorable_fields == frozenset().union(*inherited)


def test_a_request_without_later_fields_needs_its_kind_only():
    """The need is in each record: it must stay short."""
    assert needs_of(ChatTask(kind="chat", message="x", system="y", limits=Limits(idle_seconds=1))) == ["chat"]


def test_a_later_field_is_needed_if_it_is_set_to_more_than_its_default():
    """A new field needs no declaration, also in a part of the request; one that may be ignored is not needed."""
    request = NewChat(kind="chat", message="x", audio=True, trace="t", limits=NewLimits(total_tokens=1))

    assert needs_of(request) == ["chat", "chat.audio", "chat.limits.total_tokens"]
    assert needs_of(NewChat(kind="chat", message="x", audio=False, limits=None)) == ["chat"]
    assert set(needs_of(request)) <= set(abilities_of("chat", NewChat))
    assert not set(needs_of(request)) <= set(ABILITIES)


def test_a_field_that_may_be_ignored_leaves_the_request_readable():
    """The writer decides: the stored request names these fields."""
    read = read_request(write_request(NewChat(kind="chat", message="x", trace="t")).encode())

    assert read == ChatTask(kind="chat", message="x")


@pytest.mark.parametrize(
    "stored",
    [
        '{"kind":"chat","message":"x","audio":true}',
        '{"kind":"chat","message":"x","audio":true,"trace":"t","ignorable_fields":["trace"]}',
        '{"kind":"chat","message":5,"ignorable_fields":["message"]}',
        '{"kind":"chat","message":"x","trace":"t","ignorable_fields":5}',
        '{"kind":"poem","ignorable_fields":[]}',
    ],
)
def test_any_other_unknown_field_makes_the_request_unreadable(stored):
    """A worker that ignored it would give an answer to another request."""
    with pytest.raises(RequestUnreadable):
        read_request(stored.encode())
