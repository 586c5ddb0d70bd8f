"""A failover by Sentinel loses no job that was accepted, and no call that is running is made again."""

import asyncio
import signal
import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Self

import pytest
import redis

from jobs import queries
from jobs.errors import StoreUnavailable
from jobs.kinds.chat import ChatTask
from jobs.settings import Settings
from jobs.states import State
from jobs.storage.redis_client import connect, connect_async
from jobs.storage.sync_store import Store
from tasks.submit import Submitter
from tests.chaos.proxy import Proxy
from tests.support.redis_servers import MASTER, PASSWORD, Sentinels
from tests.support.waiting import until

SUBMITTERS = 6
FAILOVER_SECONDS = 40.0


@pytest.fixture
def sentinels(tmp_path):
    """A primary, its replica and three Sentinels."""
    with ExitStack() as stack:
        yield Sentinels(tmp_path, stack)


class Submitting:
    """Submits from several threads, each with connections of its own, as web processes do."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stop = threading.Event()
        self.accepted: list[str] = []
        self.refused = 0
        self._threads = [threading.Thread(target=self._submit_until_stopped, args=[n]) for n in range(SUBMITTERS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _submit_until_stopped(self, number: int) -> None:
        store = Store.open(self._settings)
        submitter = Submitter(store, self._settings)
        while not self._stop.is_set():
            try:
                job = submitter.submit(ChatTask(kind="chat", message=f"{number} {len(self.accepted)}"))
            except StoreUnavailable:
                self.refused += 1
            else:
                self.accepted.append(job.job_id)
        store.close()


def primary_of(sentinels: Sentinels, place: int = 1) -> int:
    """The port of the primary by this Sentinel."""
    with redis.Redis(port=sentinels.ports[place]) as client:
        _, port = client.sentinel_get_master_addr_by_name(MASTER, return_responses=True)
    return int(port)


def submits_again(submitting: Submitting) -> Callable[[], bool]:
    """Whether some jobs have been accepted since this call."""
    count = len(submitting.accepted)
    return lambda: len(submitting.accepted) > count + 20


@pytest.mark.slow
@pytest.mark.parametrize("how", ["failover", "kill"])
def test_no_accepted_job_is_lost_in_a_failover(sentinels, how):
    """While the former primary still answers its writes are lost: a job that it took was not accepted."""
    settings = Settings(REDIS_URL=sentinels.url)
    with Submitting(settings) as submitting:
        until(submits_again(submitting))
        if how == "failover":
            sentinels.fail_over()
        else:
            sentinels.master.send(signal.SIGKILL)
        until(lambda: primary_of(sentinels) == sentinels.replica_port, FAILOVER_SECONDS)
        until(submits_again(submitting), FAILOVER_SECONDS)

    store = Store.open(settings)
    found = store.run_all([queries.record(job_id) for job_id in submitting.accepted])
    store.close()
    assert [record.state for record in found if record is not None] == [State.QUEUED] * len(submitting.accepted)
    assert submitting.refused


@pytest.fixture
def proxies():
    """Creates proxies and closes them after the test."""
    with ExitStack() as stack:

        def create(port: int) -> Proxy:
            proxy = Proxy(port)
            stack.callback(proxy.close)
            return proxy

        yield create


@pytest.mark.slow
def test_a_client_that_is_cut_off_with_its_primary_is_promised_nothing(tmp_path, proxies):
    """Both still answer each other while another primary is chosen, and what they wrote is thrown away afterwards."""
    primary_proxies: list[Proxy] = []

    def through_a_proxy(port: int) -> int:
        primary_proxies.append(proxies(port))
        return primary_proxies[0].port

    with ExitStack() as stack:
        servers = Sentinels(tmp_path, stack, through_a_proxy)
        (primary,) = primary_proxies
        links_of_others = primary.open_links()
        sentinel_proxies = [proxies(port) for port in servers.ports]
        settings = Settings(REDIS_URL=servers.url_through([proxy.port for proxy in sentinel_proxies]))
        with Submitting(settings) as submitting:
            until(submits_again(submitting))
            for proxy in sentinel_proxies:
                proxy.stall()
            primary.stall(except_for=primary.open_links() - links_of_others)
            until(lambda: primary_of(servers) == servers.replica_port, FAILOVER_SECONDS)
            refused = submitting.refused
            until(lambda: submitting.refused > refused + 2 * SUBMITTERS)
            for proxy in (primary, *sentinel_proxies):
                proxy.restore()
            until(submits_again(submitting), FAILOVER_SECONDS)

        store = Store.open(settings)
        found = store.run_all([queries.record(job_id) for job_id in submitting.accepted])
        store.close()
    assert None not in found


def test_a_client_leaves_a_former_primary_that_still_answers(sentinels):
    """A primary that its Sentinels have given up must not go on showing outdated records."""
    client = connect(Settings(REDIS_URL=sentinels.url))
    assert port_of(client) == sentinels.master_port

    sentinels.name_the_replica()

    until(lambda: port_unless_lost(client) == sentinels.replica_port)
    with redis.Redis(port=sentinels.master_port, password=PASSWORD) as former:
        assert former.role()[0] == b"master"
    client.close()


def port_of(client: redis.Redis) -> int:
    """The port of the server that answers this client."""
    return int(client.info("server")["tcp_port"])


def port_unless_lost(client: redis.Redis) -> int | None:
    """None if the connection is closed while it is used."""
    try:
        return port_of(client)
    except redis.ConnectionError:
        return None


def test_a_subscriber_leaves_a_former_primary_that_still_answers(sentinels):
    """It would stay silent for ever: messages are published elsewhere now."""
    client = connect(Settings(REDIS_URL=sentinels.url))
    with client.pubsub() as channel:
        channel.subscribe("c")
        sentinels.name_the_replica()

        assert until(lambda: is_lost(lambda: channel.get_message(timeout=1)))
    client.close()


def is_lost(read: Callable[[], object]) -> bool:
    """Whether a read finds its connection closed."""
    try:
        read()
    except redis.ConnectionError:
        return True
    return False


def test_an_async_subscriber_leaves_a_former_primary_that_still_answers(sentinels):
    """The worker hears of cancelled jobs this way."""

    async def listen() -> bool:
        client = connect_async(Settings(REDIS_URL=sentinels.url))
        async with client.pubsub() as channel:
            await channel.subscribe("c")
            await asyncio.to_thread(sentinels.name_the_replica)
            try:
                for _ in range(15):
                    await channel.get_message(timeout=1)
            except redis.ConnectionError:
                return True
            finally:
                for node in client.connection_pool.sentinel_manager.sentinels:  # type: ignore[attr-defined]
                    await node.aclose()
                await client.aclose()
        return False

    assert asyncio.run(listen())
