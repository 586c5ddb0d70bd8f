"""One API process: a thousand idle readers cost little, and a slow reader blocks no other and buffers nothing."""

import asyncio
import resource
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from jobs.storage import keys, transitions
from jobs.storage.redis_client import MAX_CONNECTIONS
from tests.jobs.conftest import USAGE, Driver
from tests.streams.reading import event_types, messages
from tests.support.waiting import until

READERS = 1_000
MAX_CONCURRENT_OPENS = 50  # connections that are opened simultaneously
MAX_KB_PER_READER = 200
DELTAS, DELTA_TEXT = (
    3_000,
    "x" * 16_384,
)  # 49 MB: far more than the sockets and the unread messages of a reader can hold
MAX_MB_GROWTH = 30


DEPLOYMENT = {"webs": 1, "workers": 0}


@pytest.fixture(scope="module", autouse=True)
def open_files():
    """Enough file descriptors for all readers; autouse, so that the deployment inherits the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8 * READERS), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def jobs(deployment):
    return Driver(deployment.store, deployment.settings)


def memory_mb(web):
    return web.worker.memory_info().rss / 2**20


class IdleReaders:
    """Idle readers, each with its own job; ``connected`` of them have received the status of their job."""

    def __init__(self, port, job_ids):
        self.connected = 0
        self._opening = asyncio.Semaphore(MAX_CONCURRENT_OPENS)
        self._port = port
        self._job_ids = job_ids

    def read_to_end(self):
        """Everything that each reader received."""
        return asyncio.run(self._read_all())

    async def _read_all(self):
        return await asyncio.gather(*map(self._read, self._job_ids))

    async def _read(self, job_id):
        async with self._opening:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            writer.write(f"GET /api/v1/chat/jobs/{job_id}/events HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n".encode())
            await reader.readuntil(b"\r\n\r\n")
            head = await reader.readuntil(b"\n\nevent: status")
        self.connected += 1
        rest = await reader.read()
        writer.close()
        return head + rest


@contextmanager
def idle_readers(deployment, web, job_ids):
    """All readers read during the block; then their jobs are cancelled. Yields the future of the received data."""
    crowd = IdleReaders(web.port, job_ids)
    with ThreadPoolExecutor(1) as pool:
        reads = pool.submit(crowd.read_to_end)
        try:
            until(lambda: crowd.connected == len(job_ids), 40)
            yield reads
        finally:
            deployment.cancel(*job_ids)


def test_a_thousand_idle_readers_share_a_few_connections(deployment, web, jobs):
    """Memory stays low, submits still work, and simultaneous cancels reach every reader."""
    job_ids = [jobs.create() for _ in range(READERS)]
    before = memory_mb(web)
    with idle_readers(deployment, web, job_ids) as reads, deployment.client() as redis:
        until(lambda: len(redis.pubsub_channels(keys.changed_channel("*"))) == READERS)
        each = (memory_mb(web) - before) * 1024 / READERS
        clients = redis.client_list()
        submitted = web.call("POST", "/api/v1/chat/async", {"message": "one more"})
    streams = reads.result(30)

    assert [event_types(messages(stream)) for stream in streams] == [["cancelled"]] * READERS
    assert submitted[0] == 202
    assert sum(int(client["sub"]) > 0 for client in clients) == 1
    cost = f"{each:.0f} KB a reader, {len(clients)} connections to Redis"
    assert len(clients) <= MAX_CONNECTIONS + 3, cost  # the pool, the listener, and ours
    assert each <= MAX_KB_PER_READER, cost


def test_a_slow_reader_blocks_no_other_and_buffers_nothing(web, jobs):
    """When it reads again it gets every event; dropped messages are replaced by reads of the log."""
    lease = jobs.lease()
    slow = web.follow(lease.job_id)
    slow.read_until(b"in_progress")
    with ThreadPoolExecutor(1) as pool:
        quick = web.follow(lease.job_id)
        quick.read_until(b"in_progress")
        read = pool.submit(quick.read_to_end)
        before = memory_mb(web)
        write(jobs, lease)
        read.result(30)
        behind = memory_mb(web) - before
    slow.read_to_end()
    for reader in (quick, slow):
        reader.close()

    assert event_types(quick.messages) == ["in_progress", "completed"]
    assert len(quick.numbered) == DELTAS + 2
    assert slow.numbered == quick.numbered
    assert behind <= MAX_MB_GROWTH, f"{behind:.0f} MB more"


def write(jobs, lease, deltas=DELTAS, batch=50):
    """Writes more deltas than a worker would, and the end."""
    event = transitions.delta_event(DELTA_TEXT)
    for written in range(0, deltas, batch):
        tails = [transitions.PendingEvents(lease.log_length + written + i, (event,)) for i in range(batch)]
        jobs.store.run_all([transitions.append(lease, pending, USAGE) for pending in tails])
    assert jobs.finish(lease)
