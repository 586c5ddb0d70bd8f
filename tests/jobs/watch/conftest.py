"""Followers with a listener that the test controls, and a store whose reads are counted."""

from contextlib import closing, contextmanager

import pytest

from jobs.errors import StoreUnavailable
from jobs.tenant_store import default_store
from jobs.watch.follow import follow
from tests.support.fakes import Fake

TICK = 0.05


class FakeSubscription:
    """A subscription whose messages the test provides, one list per take. ``None``: messages were missed."""

    def __init__(self, *turns):
        self.turns = list(turns)
        self.takes = 0

    def take(self, _seconds):
        self.takes += 1
        return self.turns.pop(0) if self.turns else []


class FakeListener(Fake):
    """Delivers the messages that the test provides instead of published ones."""

    def __init__(self, *turns):
        self.subscription = FakeSubscription(*turns)
        self.is_closed = False

    @contextmanager
    def subscribed(self, _job_id):
        yield self.subscription


class CountedStore:
    """Counts the reads of the log, and fails as many of them as the test sets."""

    def __init__(self, store):
        self._store = store
        self.reads = 0
        self.failures = 0

    def run_all(self, commands):
        self.reads += 1
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable("away")
        return self._store.run_all(commands)


@pytest.fixture
def counted(store):
    return CountedStore(store)


def numbers(batches):
    return [event.sequence_number for batch in batches for event in batch]


def drained(store, listener, job_id, after=-1):
    with closing(follow(default_store(store), listener, job_id, after, TICK)) as batches:
        return list(batches)
