"""The responses about the queue and the server's health."""

from typing import Literal, Self

from pydantic import Field

from jobs.base import FrozenModel
from jobs.queue_stats import Stats
from jobs.workers import WorkerStatus


class QueueStats(Stats):
    """The current state of the queue."""

    workers_alive: int

    @classmethod
    def of(cls, stats: Stats) -> Self:
        return cls(**dict(stats), workers_alive=len(stats.workers))


class Alive(FrozenModel):
    """The check succeeded."""

    status: Literal["ok"] = Field(description="Always `ok`.")


class RedisHealth(FrozenModel):
    """The state of the Redis server."""

    ok: Literal[True] = Field(description="Always true; an unavailable server is reported as 503.")
    latency_ms: float = Field(description="Duration of one write, in milliseconds.")


class BrokerHealth(FrozenModel):
    """The state of the message broker."""

    state: Literal["record_store", "reachable", "blocked", "refused", "unreachable"] = Field(
        description="`record_store`: the Redis server above is the broker too. `blocked`: the broker takes no messages "
        "because its memory or disk is short. `refused`: it does not let this service publish. "
        "`unreachable`: it does not answer."
    )


class Health(FrozenModel):
    """The state of the service."""

    status: Literal["ok", "degraded"] = Field(
        description="`degraded`: requests are accepted, but wait: no worker is alive, no worker takes the jobs that "
        "wait, the broker takes no messages, or Redis is configured so that it can lose jobs."
    )
    reason: str | None = Field(description="Why the status is `degraded`; null if it is `ok`.")
    redis: RedisHealth = Field(description="The Redis server that stores the jobs.")
    broker: BrokerHealth = Field(description="The broker that carries the messages to the workers.")
    queued: int = Field(description="Number of queued jobs.")
    in_progress: int = Field(description="Number of running jobs.")
    workers_alive: int
    workers: tuple[WorkerStatus, ...]
