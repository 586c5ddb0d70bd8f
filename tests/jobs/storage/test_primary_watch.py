"""Which server is the primary when the Sentinels do not agree. tests/test_failover.py has real ones."""

import socket

import pytest
import redis

from jobs.storage import primary_watch
from jobs.storage.primary_watch import Answer, PrimaryWatch, choose
from tests.support.fakes import Fake, fake
from tests.support.waiting import until

OLD, NEW, OTHER = ("10.0.0.1", 6379), ("10.0.0.2", 6379), ("db-2", 6379)


@pytest.mark.parametrize(
    ("answers", "primary", "outdated"),
    [
        ([(OLD, 3)], OLD, []),
        ([(OLD, 3), (NEW, 4)], NEW, [OLD]),
        ([(OLD, 3), (OLD, 3), (NEW, 4)], NEW, [OLD]),  # the majority has not heard of the failover yet
        ([(OTHER, 4), (NEW, 4), (NEW, 4)], NEW, []),  # the same server under another name is not outdated
        ([(NEW, 3), (NEW, 4)], NEW, []),
    ],
)
def test_the_latest_configuration_counts_then_the_majority(answers, primary, outdated):
    """A Sentinel that was cut off names the former primary until it hears from the others."""
    assert choose([Answer(*answer) for answer in answers]) == (primary, frozenset(outdated))


class Connection(Fake):
    """An open connection to a server."""

    def __init__(self, address) -> None:
        self.host, self.port = address
        self._sock, self._other_end = socket.socketpair()
        self._other_end.setblocking(False)

    @property
    def is_shut_down(self) -> bool:
        try:
            return self._other_end.recv(1) == b""
        except BlockingIOError:
            return False

    def close(self) -> None:
        self._sock.close()
        self._other_end.close()


def sentinel_naming(address, epoch):
    state = {"ip": address[0], "port": address[1], "config-epoch": epoch}
    return fake(sentinel_masters=lambda: {"m": state})


def unreachable():
    raise redis.ConnectionError


def test_connections_leave_a_server_that_only_an_outdated_sentinel_names(monkeypatch):
    """The Sentinel that answers a new connection first may be the one that was cut off."""
    monkeypatch.setattr(primary_watch, "_POLL_SECONDS", 0.01)
    sentinels = [sentinel_naming(OLD, 3), fake(sentinel_masters=unreachable), sentinel_naming(NEW, 4)]
    watch = PrimaryWatch(fake(sentinels=sentinels, check_master_state=lambda *_: True), "m")
    stale, good = Connection(OLD), Connection(NEW)
    assert watch.lead(OLD) == OLD  # nothing is known yet

    watch.add(stale)
    watch.add(good)
    until(lambda: stale.is_shut_down)

    assert (watch.lead(OLD), watch.lead(NEW), watch.lead(OTHER)) == (NEW, NEW, OTHER)
    assert not good.is_shut_down
    for connection in (stale, good):
        connection.close()
