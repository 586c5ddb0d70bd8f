"""The services that the views use, built once per app. No connection is opened before its first use."""

from dataclasses import dataclass

from flask import Flask, current_app, g, has_request_context

from api.metrics_flush import MetricsFlush
from documents.factory import make_viewer
from documents.reading.page_viewer import PageViewer
from jobs.models import JobRecord
from jobs.settings import Settings
from jobs.storage import transitions
from jobs.storage.durability import WriteSafety
from jobs.storage.redis_client import connect
from jobs.storage.scripts import load_all_scripts
from jobs.storage.sync_store import Store
from jobs.watch.listener import ChangeListener
from tasks.submit import Submitter

_NAME = "chatqueue"


@dataclass(frozen=True)
class Services:
    settings: Settings
    store: Store
    submitter: Submitter
    listener: ChangeListener
    viewer: PageViewer
    metrics: MetricsFlush

    def cancel(self, record: JobRecord) -> None:
        """Cancel a job. May be repeated; a final job does not change. Raises StoreUnavailable, QueueFull."""
        self.store.run(transitions.cancel(record.job_id, record.queue, self.settings))

    def close(self) -> None:
        self.listener.close()
        self.submitter.close()
        self.metrics.flush()
        self.store.close()


def install(app: Flask, settings: Settings) -> None:
    load_all_scripts()
    client = connect(settings)
    store = Store(client, WriteSafety.of(settings))
    app.extensions[_NAME] = Services(
        settings=settings,
        store=store,
        submitter=Submitter(store, settings, _request_id),
        listener=ChangeListener(client),
        viewer=make_viewer(settings),
        metrics=MetricsFlush(store),
    )


def _request_id() -> str | None:
    """The id of the request that is handled now; see http/problems.py."""
    return g.get("request_id") if has_request_context() else None


def services_of(app: Flask) -> Services:
    app_services: Services = app.extensions[_NAME]
    return app_services


def services() -> Services:
    """The services of the app that handles this request."""
    return services_of(current_app)
