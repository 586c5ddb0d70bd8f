"""The state of the queue over HTTP."""

from typing import Any

from api.http.pydantic_smorest import Blueprint
from api.schemas import examples
from api.schemas.health import QueueStats
from api.services import services, whole_services
from jobs import queue_stats

blueprint = Blueprint("queue", __name__, url_prefix="/queue", description="The state of the queue")


@blueprint.route("/stats")
@blueprint.response(200, QueueStats, description="The current figures.", example=examples.STATS)
@blueprint.problems(503)
def show_stats() -> Any:
    """Show counts, queue depths, workers and rates.

    The cost of the call does not depend on the number of jobs. With the API key of a tenant, the response contains
    `counts` and `queued_bytes` of this tenant's jobs, and nothing about the whole service.
    """
    own = services()
    if not own.caller.sees_everything:
        return QueueStats.of(queue_stats.stats_of(own.store, own.settings))
    whole = whole_services()
    return QueueStats.of(queue_stats.stats(whole.store, whole.settings))
