"""Administration of tenants and API keys: what an administrator may do, whatever the interface."""

import secrets
import string
from collections.abc import Sequence
from typing import Final

from jobs import queries
from jobs.api_keys import KeyRecord, NewKey, Role, Scope, digest_of
from jobs.errors import KeyNotFound, no_such_tenant
from jobs.settings import Settings
from jobs.states import State
from jobs.storage import transitions
from jobs.storage.sync_store import Store
from jobs.storage.transitions import access
from jobs.storage.transitions.access import TenantRecord
from jobs.tenant import DEFAULT_TENANT, Tenant
from jobs.tenant_store import TenantStore

_PREFIX: Final = "proj_"  # as OpenAI's projects
_ID_CHARS: Final = 24
_CANCELLED_AT_ONCE: Final = 500


def create_tenant(store: Store, name: str) -> TenantRecord:
    tenant = Tenant(_PREFIX + "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(_ID_CHARS)))
    now_ms = store.run(queries.server_time_ms())
    store.run_all(access.add_tenant(tenant, name, now_ms))
    return TenantRecord(tenant=tenant, name=name, created_at_ms=now_ms)


def tenants(store: Store) -> list[TenantRecord]:
    """The default tenant and all that were created, the oldest first, also archived ones."""
    names = [DEFAULT_TENANT, *store.run(queries.tenant_list())]
    return [record for record in store.run_all([queries.tenant(name) for name in names]) if record is not None]


def tenant(store: Store, name: Tenant) -> TenantRecord:
    """Raises TenantNotFound."""
    record = store.run(queries.tenant(name))
    if record is None:
        raise no_such_tenant()
    return record


def archive_tenant(store: Store, settings: Settings, name: Tenant) -> TenantRecord:
    """Let the tenant's keys no longer work, and cancel its queued jobs. Running jobs end by themselves.

    May be repeated. Raises TenantNotFound.
    """
    tenant(store, name)
    store.run(access.archive_tenant(name, store.run(queries.server_time_ms())))
    own = TenantStore(store, name)
    before = None
    while entries := own.page(State.QUEUED, before, _CANCELLED_AT_ONCE):
        jobs, _ = own.read_jobs([job_id for job_id, _ in entries])
        commands = [transitions.cancel(job.job_id, job.queue, settings) for job, _ in jobs.values()]
        store.run_all(commands)
        before = entries[-1][1]
    return tenant(store, name)


def create_key(
    store: Store, name: Tenant, role: Role, key_name: str, scopes: Sequence[Scope], lifetime_seconds: float | None
) -> tuple[KeyRecord, str]:
    """The record and the text of a new key. Raises TenantNotFound and TenantArchived."""
    new = NewKey.make()
    record = KeyRecord(
        key_id=new.key_id,
        sha256=digest_of(new.text),
        tenant=name,
        role=role,
        name=key_name,
        only=frozenset(scopes),
        holder=new.key_id,
    )
    return store.run(access.add_key(record, lifetime_seconds)), new.text


def rotate_key(store: Store, key_id: str, overlap_seconds: float) -> tuple[KeyRecord, str]:
    """A new key with the rights and the lifetime of an old one, which expires after the overlap.

    Raises KeyNotFound and TenantArchived.
    """
    old = key(store, key_id)
    if old.has_ended(store.run(queries.server_time_ms())):
        raise KeyNotFound("the key was revoked or has expired: create a new one", param="key_id")
    new = NewKey.make()
    record = old.model_copy(update={"key_id": new.key_id, "sha256": digest_of(new.text), "last_used_at_ms": None})
    lifetime = None if old.expires_at_ms is None else (old.expires_at_ms - old.created_at_ms) / 1000
    added = store.run(access.add_key(record, lifetime))
    store.run(access.end_key(key_id, overlap_seconds))
    return added, new.text


def revoke_key(store: Store, key_id: str) -> KeyRecord:
    """May be repeated. Raises KeyNotFound."""
    record = store.run(access.end_key(key_id))
    if record is None:
        raise _no_such_key()
    return record


def key(store: Store, key_id: str) -> KeyRecord:
    """Raises KeyNotFound."""
    record = store.run(queries.api_key(key_id))
    if record is None:
        raise _no_such_key()
    return record


def keys_of(store: Store, name: Tenant) -> list[KeyRecord]:
    """The keys of a tenant, the oldest first, also those that have ended. Raises TenantNotFound."""
    tenant(store, name)
    names = store.run(queries.api_keys(name))
    return [record for record in store.run_all([queries.api_key(key_id) for key_id in names]) if record is not None]


def _no_such_key() -> KeyNotFound:
    return KeyNotFound("no such key", param="key_id")
