"""Is it up? For load balancers (live, ready) and for people (full)."""

from typing import Any

from api.http.pydantic_smorest import Blueprint
from api.schemas import examples
from api.schemas.responses import Alive, Health, RedisHealth
from api.services import services
from jobs import lookup
from jobs.states import State

blueprint = Blueprint("health", __name__, url_prefix="/health", description="Is it up?")


@blueprint.route("")
@blueprint.response(200, Health, example=examples.HEALTH)
@blueprint.problems(503)
def show_health() -> Any:
    """Redis, the queue and the workers."""
    app_services = services()
    latency_ms = lookup.probe(app_services.store)
    stats = lookup.stats(app_services.store, app_services.settings)
    return Health(
        status="ok" if stats.workers else "degraded",
        redis=RedisHealth(ok=True, latency_ms=round(latency_ms, 3)),
        queued=stats.counts[State.QUEUED],
        in_progress=stats.counts[State.IN_PROGRESS],
        workers_alive=len(stats.workers),
        workers=stats.workers,
    )


@blueprint.route("/live")
@blueprint.response(200, Alive, example=examples.ALIVE)
@blueprint.problems()
def show_live() -> Any:
    """The process answers; touches nothing else."""
    return Alive(status="ok")


@blueprint.route("/ready")
@blueprint.response(200, Alive, example=examples.ALIVE)
@blueprint.problems(503)
def show_ready() -> Any:
    """Requests can be accepted: Redis takes writes."""
    lookup.probe(services().store)
    return Alive(status="ok")
