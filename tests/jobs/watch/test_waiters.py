"""The unread messages of a subscription: bounded, and missed ones are reported."""

from jobs.watch import waiters
from jobs.watch.waiters import Subscription


def test_unread_messages_are_bounded(monkeypatch):
    """Above the bound all unread messages are dropped, because only some of them would be useless."""
    monkeypatch.setattr(waiters, "MAX_UNREAD", 4)
    subscription = Subscription()
    for number in range(4):
        subscription.notify(b"%d" % number)
    assert subscription.take(0) == [b"0", b"1", b"2", b"3"]
    for number in range(100):
        subscription.notify(b"%d" % number)

    assert len(subscription._messages) <= 4
    assert subscription.take(0) is None
    subscription.notify(b"next")
    assert subscription.take(0)[-1] == b"next"
    assert subscription.take(0) == []


def test_messages_that_follow_missed_ones_are_kept(jobs):
    """A job may be cancelled and deleted before the read: its last message must still arrive."""
    subscription = Subscription()
    subscription.notify(None)
    subscription.notify(b"final 0")

    assert subscription.take(0) is None
    assert subscription.take(0) == [b"final 0"]
