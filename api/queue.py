"""The state of the queue over HTTP."""

from typing import Any

from api.http.pydantic_smorest import Blueprint
from api.schemas import examples
from api.schemas.health import QueueStats
from api.services import whole_services
from jobs import queue_stats

blueprint = Blueprint("queue", __name__, url_prefix="/queue", description="The state of the queue")


@blueprint.route("/stats")
@blueprint.response(200, QueueStats, description="The current figures.", example=examples.STATS)
@blueprint.problems(503)
def show_stats() -> Any:
    """Show counts, queue depths, workers and rates.

    The cost of the call does not depend on the number of jobs.
    """
    app_services = whole_services()
    return QueueStats.of(queue_stats.stats(app_services.store, app_services.settings))
