"""The services that the views use, built once per app. No connection is opened before its first use."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from flask import Flask, current_app, g, has_request_context

from api.metrics_flush import MetricsFlush
from documents.factory import make_viewer
from documents.reading.page_viewer import PageViewer
from jobs.api_keys import Caller
from jobs.errors import StoreUnavailable
from jobs.key_ring import KeyRing
from jobs.kinds.base import JobRequest
from jobs.models import JobRecord
from jobs.settings import Settings
from jobs.storage import transitions
from jobs.storage.durability import WriteSafety
from jobs.storage.redis_client import connect
from jobs.storage.scripts import load_all_scripts
from jobs.storage.sync_store import Store
from jobs.tenant_store import TenantStore
from jobs.watch.listener import ChangeListener
from tasks.submit import Submitter

_NAME: Final = "chatqueue"


@dataclass(frozen=True)
class Services:
    """What the app needs at all. Views use ``services()``: only the state of the whole service is read from here."""

    settings: Settings
    store: Store
    submitter: Submitter
    listener: ChangeListener
    viewer: PageViewer
    metrics: MetricsFlush
    keys: KeyRing | None  # None: nobody needs an API key

    def close(self) -> None:
        self.listener.close()
        self.submitter.close()
        self.metrics.flush()
        self.store.close()


@dataclass(frozen=True)
class CallerServices:
    """What a view needs for one caller. It reaches no job of another tenant."""

    settings: Settings
    store: TenantStore
    listener: ChangeListener
    viewer: PageViewer
    caller: Caller
    _submitter: Submitter
    _keys: KeyRing | None

    @property
    def needs_key(self) -> bool:
        """Whether the caller has shown an API key, which may end while a call lasts."""
        return self._keys is not None

    def require_valid_key(self) -> None:
        """Raises InvalidKey or Forbidden once the key has ended. During an outage of Redis a call goes on.

        For calls that last: call it about once a second.
        """
        if self._keys is not None:
            with suppress(StoreUnavailable):
                self._keys.require_valid(self.caller)

    def submit(self, request: JobRequest, **options: Any) -> transitions.Created:
        """Submit a job of the caller's tenant: see ``Submitter.submit``."""
        return self._submitter.submit(request, tenant=self.store.tenant, **options)

    def retry(self, record: JobRecord) -> transitions.Created:
        """Submit a job of the caller's tenant again: see ``Submitter.retry``."""
        return self._submitter.retry(self.store, record)

    def note_found(self, job_id: str, kind: str) -> None:
        self._submitter.note_found(job_id, kind)

    def cancel(self, record: JobRecord) -> None:
        """Cancel a job. May be repeated; a final job does not change. Raises StoreUnavailable, QueueFull."""
        self.store.cancel(record, self.settings)


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
        keys=KeyRing(store, settings.admin_key.get_secret_value()) if settings.admin_key else None,
    )


def _request_id() -> str | None:
    """The id of the request that is handled now; see http/problems.py."""
    return g.get("request_id") if has_request_context() else None


def services_of(app: Flask) -> Services:
    app_services: Services = app.extensions[_NAME]
    return app_services


def whole_services() -> Services:
    """The services of the app that handles this request, for views that show the state of the whole service."""
    return services_of(current_app)


def services() -> CallerServices:
    """The services for the caller of this request, whom http/authentication.py has let in."""
    found: CallerServices = g.chatqueue
    return found


def let_in(whole: Services, caller: Caller) -> None:
    """Let this request's views act for this caller."""
    g.chatqueue = CallerServices(
        settings=whole.settings,
        store=TenantStore(whole.store, caller.tenant),
        listener=whole.listener,
        viewer=whole.viewer,
        caller=caller,
        _submitter=whole.submitter,
        _keys=whole.keys,
    )
