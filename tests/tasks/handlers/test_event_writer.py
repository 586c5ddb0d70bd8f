"""The event writer: consecutive deltas are joined into one event, and each is serialized once."""

import asyncio
import json

from jobs.models import Lease
from tasks.handlers.event_writer import EventWriter
from tasks.provider.formats.delta import Delta, sanitize
from tests.support.fakes import Fake, fake


class CountingDict(dict):
    """Counts how often it is iterated: once for each time it is serialized or shown."""

    serializations = 0

    def items(self):
        type(self).serializations += 1
        return super().items()

    def __repr__(self):
        type(self).serializations += 1
        return super().__repr__()


def lines_written(*deltas):
    """The log lines for these deltas, all of which are in the tail."""

    async def write():
        running_attempt = fake(lease=fake(log_length=0), has_lost_lease=False)
        writer = EventWriter(running_attempt, store=fake(), interval_seconds=0.0)
        for delta in deltas:
            writer.add(delta)
        await writer.close()
        return list(map(json.loads, writer.tail.events))

    return asyncio.run(write())


def growth(name, delta):
    return Delta(data={"type": "x.delta", "item_id": name}, data_delta=delta)


def test_consecutive_deltas_of_one_item_become_one_event():
    """Coalescing must not mix texts with data, nor the growth of two items."""
    other = {"type": "y"}
    lines = lines_written(
        Delta(text="a"), Delta(text="b"), growth("1", "c"), growth("1", '"é'), growth("2", "e"),
        Delta(data=other), Delta(data=other), Delta(text="f", data=other),
    )  # fmt: skip

    assert lines == [
        {"type": "delta", "text": "ab"},
        {"type": "upstream", "data": {"type": "x.delta", "item_id": "1", "delta": 'c"é'}},
        {"type": "upstream", "data": {"type": "x.delta", "item_id": "2", "delta": "e"}},
        {"type": "upstream", "data": other},
        {"type": "upstream", "data": other},
        {"type": "delta", "text": "f", "data": other},
    ]


def test_the_data_of_a_delta_is_serialized_once():
    """Serializing a large item again at each step would dominate the CPU time of a token."""
    lines = lines_written(sanitize(Delta(data={"item": CountingDict(name="f")})))

    assert lines == [{"type": "upstream", "data": {"item": {"name": "f"}}}]
    assert CountingDict.serializations == 1


def test_the_first_words_are_written_immediately_whatever_precedes_them():
    """A role or an opening item is written separately, so that the first words need not wait for the interval."""

    async def write():
        running_attempt = fake(
            lease=Lease(job_id="j", queue="q", token=1, attempt=1, log_length=0), has_lost_lease=False
        )
        store = CountingStore()
        writer = EventWriter(running_attempt, store, interval_seconds=60)
        for delta in (Delta(data={"role": 1}), Delta(data={"part": 1}), Delta(text="Hello"), Delta(text=" there")):
            writer.add(delta)
            for _ in range(5):  # turns of the event loop, in which the writer finishes its write
                await asyncio.sleep(0)
        await writer.close()
        return store.count, list(map(json.loads, writer.tail.events))

    assert asyncio.run(write()) == (3, [{"type": "delta", "text": " there"}])


class CountingStore(Fake):
    """Accepts and counts every command."""

    count = 0

    async def run(self, _command):
        self.count += 1
        return self.count
