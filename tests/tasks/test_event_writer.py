"""An attempt's deltas on their way into the log: joined where they belong together, put into JSON once."""

import asyncio
import json
from types import SimpleNamespace

from jobs.models import Lease
from tasks.event_writer import EventWriter
from tasks.provider.formats.delta import Delta, sanitize


class CountingDict(dict):
    """Counts how often it is gone through, which is once for each time it is put into JSON or shown."""

    serializations = 0

    def items(self):
        type(self).serializations += 1
        return super().items()

    def __repr__(self):
        type(self).serializations += 1
        return super().__repr__()


def lines_written(*deltas):
    """The log's lines of these deltas, which all leave with the tail."""

    async def write():
        running_attempt = SimpleNamespace(lease=SimpleNamespace(log_length=0), has_lost_lease=False)
        writer = EventWriter(running_attempt, store=None, interval_seconds=0.0)
        for delta in deltas:
            writer.add(delta)
        await writer.close()
        return list(map(json.loads, writer.tail.events))

    return asyncio.run(write())


def growth(name, delta):
    return Delta(data={"type": "x.delta", "item_id": name}, data_delta=delta)


def test_what_comes_together_and_belongs_together_is_one_event():
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


def test_what_a_provider_said_is_put_into_json_once():
    lines = lines_written(sanitize(Delta(data={"item": CountingDict(name="f")})))

    assert lines == [{"type": "upstream", "data": {"item": {"name": "f"}}}]
    assert CountingDict.serializations == 1


def test_the_first_words_wait_for_no_interval_whatever_comes_before_them():
    """A role, an item that opens: each is a write of its own, and so are the first words; then the interval holds."""

    async def write():
        running_attempt = SimpleNamespace(
            lease=Lease(job_id="j", queue="q", token=1, attempt=1, log_length=0), has_lost_lease=False
        )
        store = CountingStore()
        writer = EventWriter(running_attempt, store, interval_seconds=60)
        for delta in (Delta(data={"role": 1}), Delta(data={"part": 1}), Delta(text="Hello"), Delta(text=" there")):
            writer.add(delta)
            for _ in range(5):  # turns of the loop: nothing here takes time
                await asyncio.sleep(0)
        await writer.close()
        return store.count, list(map(json.loads, writer.tail.events))

    assert asyncio.run(write()) == (3, [{"type": "delta", "text": " there"}])


class CountingStore:
    """A store that takes everything."""

    count = 0

    async def run(self, _command):
        self.count += 1
        return self.count
