"""The numbers of a run."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """The defaults take about a quarter of an hour on two cores; QUICK takes a few minutes and is less accurate."""

    only: tuple[str, ...] = ()  # names of tables; empty: all
    systems: tuple[str, ...] = ()  # names of rows or parts of them; empty: all
    rounds: int = 3
    calls: int = 3_000
    in_flight: int = 1_000
    slow_seconds: float = 8  # how long a system with few slots is kept busy, in seconds
    connections: int = 32  # of the load client
    submit_seconds: float = 4
    round_trips: int = 200  # for each latency
    streams: int = 100  # readers that each follow a job of their own
    stream_tokens: int = 250
    idle_readers: int = 1_000
    records: tuple[int, ...] = (1_000, 100_000)
    chunks: tuple[int, ...] = (1_000, 100_000)  # of the documents in the index
    queued: int = 100_000
    stored: int = 1_000  # finished jobs over which the bytes per job are averaged


QUICK = {
    "rounds": 1,
    "calls": 300,
    "in_flight": 300,
    "slow_seconds": 4,
    "submit_seconds": 1.5,
    "round_trips": 50,
    "streams": 20,
    "stream_tokens": 100,
    "idle_readers": 200,
    "records": (1_000, 10_000),
    "chunks": (1_000, 10_000),
    "queued": 10_000,
    "stored": 300,
}
