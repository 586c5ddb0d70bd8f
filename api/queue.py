"""The queue at a glance."""

from typing import Any

from api.http.pydantic_smorest import Blueprint
from api.schemas import examples
from api.schemas.responses import QueueStats
from api.services import services
from jobs import lookup

blueprint = Blueprint("queue", __name__, url_prefix="/queue", description="The queue as a whole")


@blueprint.route("/stats")
@blueprint.response(200, QueueStats, example=examples.STATS)
@blueprint.problems(503)
def show_stats() -> Any:
    """Counts, depths, workers and rates.

    Costs the same however many jobs there are.
    """
    app_services = services()
    return QueueStats.of(lookup.stats(app_services.store, app_services.settings))
