"""GET /metrics: the figures of all processes for Prometheus. Any web process shows the same."""

from typing import Any, Final

from flask import Blueprint, Response, request
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from api.metric_families import families
from api.services import whole_services
from jobs import queries, queue_stats
from jobs.model_labels import ModelLabels
from jobs.provider_states import target_states
from jobs.storage.commands import Command

PATH: Final = "/metrics"

blueprint = Blueprint("metrics", __name__)


@blueprint.get(PATH)
def show_metrics() -> Any:
    app_services = whole_services()
    store = app_services.store
    stats = queue_stats.stats(store, app_services.settings)
    commands: list[Command[Any]] = [queries.totals_by_kind(), queries.metric_counts(), target_states()]
    totals, counts, targets = store.run_all(commands)
    registry = CollectorRegistry()
    registry.register(_Families(families(stats, totals, targets, counts, ModelLabels(app_services.settings))))
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return Response(encode(registry), content_type=content_type)


class _Families:
    """The interface that the library wants for figures which are read when they are asked for."""

    def __init__(self, found: Any) -> None:
        self._found = tuple(found)

    def collect(self) -> Any:
        return self._found
