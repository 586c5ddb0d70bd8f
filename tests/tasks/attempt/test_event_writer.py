"""An attempt's pieces on their way into the log: joined where they belong together, put into JSON once."""

import asyncio
import json
from types import SimpleNamespace

from jobs.models import Lease
from tasks.attempt.event_writer import EventWriter
from tasks.provider.formats.delta import Piece, clean


class Counting(dict):
    """Counts how often it is gone through, which is once for each time it is put into JSON or shown."""

    seen = 0

    def items(self):
        type(self).seen += 1
        return super().items()

    def __repr__(self):
        type(self).seen += 1
        return super().__repr__()


def written(*pieces):
    """The log's lines of these pieces, which all leave with the tail."""

    async def write():
        hold = SimpleNamespace(lease=SimpleNamespace(log_length=0), is_lost=False)
        writer = EventWriter(hold, store=None, interval_seconds=0.0, input_chars=0)
        for piece in pieces:
            writer.add(piece)
        await writer.close()
        return list(map(json.loads, writer.tail.events))

    return asyncio.run(write())


def grows(name, delta):
    return Piece(data={"type": "x.delta", "item_id": name}, delta=delta)


def test_what_comes_together_and_belongs_together_is_one_event():
    other = {"type": "y"}
    lines = written(
        Piece(text="a"), Piece(text="b"), grows("1", "c"), grows("1", '"é'), grows("2", "e"),
        Piece(data=other), Piece(data=other), Piece(text="f", data=other),
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
    lines = written(clean(Piece(data={"item": Counting(name="f")})))

    assert lines == [{"type": "upstream", "data": {"item": {"name": "f"}}}]
    assert Counting.seen == 1


def test_the_first_words_wait_for_no_interval_whatever_comes_before_them():
    """A role, an item that opens: each is a write of its own, and so are the first words; then the interval holds."""

    async def write():
        hold = SimpleNamespace(lease=Lease(job_id="j", queue="q", token=1, attempt=1, log_length=0), is_lost=False)
        store = Writes()
        writer = EventWriter(hold, store, interval_seconds=60, input_chars=0)
        for piece in (Piece(data={"role": 1}), Piece(data={"part": 1}), Piece(text="Hello"), Piece(text=" there")):
            writer.add(piece)
            for _ in range(5):  # turns of the loop: nothing here takes time
                await asyncio.sleep(0)
        await writer.close()
        return store.count, list(map(json.loads, writer.tail.events))

    assert asyncio.run(write()) == (3, [{"type": "delta", "text": " there"}])


class Writes:
    """A store that takes everything."""

    count = 0

    async def run(self, _command):
        self.count += 1
        return self.count
