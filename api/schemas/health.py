"""The responses about the queue and the server's health."""

from datetime import datetime
from typing import Literal, Self

from pydantic import Field

from api.schemas.responses import utc_or_none
from jobs.base import FrozenModel
from jobs.models import WaitReason
from jobs.provider_states import LimitSource, TargetState
from jobs.queue_stats import Stats
from jobs.workers import WorkerStatus


class QueueStats(Stats):
    """The current state of the queue."""

    workers_alive: int

    @classmethod
    def of(cls, stats: Stats) -> Self:
        return cls(**dict(stats), workers_alive=len(stats.workers))


class TargetStatus(FrozenModel):
    name: str
    is_open: bool
    closed_reason: WaitReason | None
    closed_until: datetime | None
    running: int
    requests_last_minute: int
    tokens_last_minute: int | None
    requests_per_minute: int | None
    requests_source: LimitSource | None
    tokens_per_minute: int | None
    tokens_source: LimitSource | None
    concurrency: int | None

    @classmethod
    def of(cls, state: TargetState) -> Self:
        fields = state.model_dump(exclude={"closed_until_ms"})
        return cls(**fields, closed_until=utc_or_none(state.closed_until_ms))


class ProviderList(FrozenModel):
    targets: tuple[TargetStatus, ...]


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
    reason: str | None = Field(
        description="Why the status is `degraded`, all reasons separated by semicolons; null if it is `ok`."
    )
    redis: RedisHealth = Field(description="The Redis server that stores the jobs.")
    broker: BrokerHealth = Field(description="The broker that carries the messages to the workers.")
    queued: int = Field(description="Number of queued jobs.")
    in_progress: int = Field(description="Number of running jobs.")
    workers_alive: int
    workers: tuple[WorkerStatus, ...]
