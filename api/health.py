"""Health checks: live and ready for load balancers, the full report for people."""

from typing import Any, Final

from api.http.pydantic_smorest import Blueprint
from api.schemas import examples
from api.schemas.health import Alive, BrokerHealth, Health, RedisHealth
from api.services import services
from jobs import lookup
from jobs.states import State

_WORKING_BROKER: Final = ("record_store", "reachable")

blueprint = Blueprint("health", __name__, url_prefix="/health", description="Health checks")


@blueprint.route("")
@blueprint.response(200, Health, description="The service accepts requests.", example=examples.HEALTH)
@blueprint.problems(503)
def show_health() -> Any:
    """Show the state of Redis, the broker, the queue and the workers.

    The status is `degraded` if no worker is alive or the broker takes no messages. The response is 503 if Redis is
    unavailable.
    """
    app_services = services()
    latency_ms = lookup.probe(app_services.store)
    stats = lookup.stats(app_services.store, app_services.settings)
    broker = BrokerHealth(state=app_services.submitter.broker_state())
    return Health(
        status="ok" if stats.workers and broker.state in _WORKING_BROKER else "degraded",
        broker=broker,
        redis=RedisHealth(ok=True, latency_ms=round(latency_ms, 3)),
        queued=stats.counts[State.QUEUED],
        in_progress=stats.counts[State.IN_PROGRESS],
        workers_alive=len(stats.workers),
        workers=stats.workers,
    )


@blueprint.route("/live")
@blueprint.response(200, Alive, description="The process responds.", example=examples.ALIVE)
@blueprint.problems()
def show_live() -> Any:
    """Check that the process responds.

    Use it as a liveness probe. It does not depend on Redis.
    """
    return Alive(status="ok")


@blueprint.route("/ready")
@blueprint.response(200, Alive, description="The service accepts requests.", example=examples.ALIVE)
@blueprint.problems(503)
def show_ready() -> Any:
    """Check that requests can be accepted.

    Use it as a readiness probe. The response is 503 if Redis does not accept writes.
    """
    lookup.probe(services().store)
    return Alive(status="ok")
