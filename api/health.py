"""Health checks: live and ready for load balancers, the full report for people."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from api.http.pydantic_smorest import Blueprint
from api.schemas import examples
from api.schemas.health import Alive, BrokerHealth, Health, RedisHealth
from api.services import Services, whole_services
from jobs import lookup, queue_stats
from jobs.errors import StoreUnavailable
from jobs.queue_stats import Stats
from jobs.states import State
from jobs.storage.server_info import server_info

_WORKING_BROKER: Final = ("record_store", "reachable")

blueprint = Blueprint("health", __name__, url_prefix="/health", description="Health checks")


@blueprint.route("")
@blueprint.response(200, Health, description="The service accepts requests.", example=examples.HEALTH)
@blueprint.problems(503, needs_key=False)
def show_health() -> Any:
    """Show the state of Redis, the broker, the queue and the workers.

    The status is `degraded` if no worker is alive, if jobs wait and no worker takes them, if the broker takes no
    messages, or if a setting of Redis can lose accepted jobs. The response is 503 if Redis is unavailable, or if the
    server's Redis user lacks a right.
    """
    app_services = whole_services()
    lookup.require_rights(app_services.store, app_services.settings)
    latency_ms = lookup.probe(app_services.store)
    stats = queue_stats.stats(app_services.store, app_services.settings)
    broker = BrokerHealth(state=app_services.submitter.broker_state())
    reason = "; ".join([*_problems(stats, broker), *_hazards(app_services)]) or None
    return Health(
        status="degraded" if reason else "ok",
        reason=reason,
        broker=broker,
        redis=RedisHealth(ok=True, latency_ms=round(latency_ms, 3)),
        queued=stats.counts[State.QUEUED],
        in_progress=stats.counts[State.IN_PROGRESS],
        workers_alive=len(stats.workers),
        workers=stats.workers,
    )


def _hazards(app_services: Services) -> Sequence[str]:
    """The settings of Redis that can lose accepted jobs, or why the settings are unknown."""
    try:
        server = app_services.store.run(server_info())
    except StoreUnavailable as error:
        return [error.message]
    return server.hazards(app_services.settings.durability)


def _problems(stats: Stats, broker: BrokerHealth) -> Iterator[str]:
    """Why queued jobs do not start, even if no job is queued at present; nothing if they do."""
    if broker.state not in _WORKING_BROKER:
        yield f"the broker takes no messages: it is {broker.state}"
    yield from queue_stats.worker_problems(stats)


@blueprint.route("/live")
@blueprint.response(200, Alive, description="The process responds.", example=examples.ALIVE)
@blueprint.problems(needs_key=False)
def show_live() -> Any:
    """Check that the process responds.

    Use it as a liveness probe. It does not depend on Redis.
    """
    return Alive(status="ok")


@blueprint.route("/ready")
@blueprint.response(200, Alive, description="The service accepts requests.", example=examples.ALIVE)
@blueprint.problems(503, needs_key=False)
def show_ready() -> Any:
    """Check that requests can be accepted.

    Use it as a readiness probe. The response is 503 if Redis does not accept writes, or if the server's Redis user
    lacks a right.
    """
    app_services = whole_services()
    lookup.require_rights(app_services.store, app_services.settings)
    lookup.probe(app_services.store)
    return Alive(status="ok")
