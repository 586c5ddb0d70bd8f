"""The queue at a glance."""

from typing import Any

from api import examples
from api.answers import QueueStats
from api.pydantic_smorest import Blueprint
from api.services import services
from jobs import reading

blueprint = Blueprint("queue", __name__, url_prefix="/queue", description="The queue as a whole")


@blueprint.route("/stats")
@blueprint.response(200, QueueStats, example=examples.STATS)
@blueprint.problems(503)
def show_stats() -> Any:
    """Counts, depths, workers and rates.

    Costs the same however many jobs there are.
    """
    here = services()
    return QueueStats.of(reading.stats(here.store, here.settings))
