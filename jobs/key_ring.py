"""Checks API keys: which caller a key belongs to. Each process remembers the keys that it has checked for a second.

So a key that is revoked, expired or whose tenant is archived is refused by every process within a second. Expiry
follows the clock of Redis, which has made the key. While Redis is away, no key is valid.
"""

import hmac
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from jobs import queries
from jobs.api_keys import ROLES_FOR_ANY_TENANT, Caller, KeyRecord, Scope, digest_of, key_id_of
from jobs.errors import Forbidden, InvalidKey, TenantArchived, no_such_tenant
from jobs.storage.sync_store import Store
from jobs.storage.transitions.access import KeyUse, TenantRecord, use_key
from jobs.tenant import DEFAULT_TENANT, Tenant

REMEMBER_SECONDS: Final = 1.0  # half of the time within which a revoked key must be refused
_MAX_REMEMBERED: Final = 10_000


@dataclass(frozen=True)
class _Checked:
    caller: Caller
    until: float  # by the monotonic clock


class KeyRing:
    """The keys of one service. ``admin_key``: that of the settings. Safe to share between threads."""

    def __init__(self, store: Store, admin_key: str) -> None:
        self._store = store
        self._admin_digest = digest_of(admin_key)
        self._checked: OrderedDict[tuple[str, Tenant | None], _Checked] = OrderedDict()

    def caller_of(self, text: str, project: Tenant | None = None) -> Caller:
        """The caller with this key. ``project``: the tenant that it names, if it names one.

        Raises InvalidKey, Forbidden for a tenant that is not the key's own, TenantArchived, TenantNotFound and
        StoreUnavailable.
        """
        digest = digest_of(text)
        known = self._checked.get((digest, project))
        if known is not None and known.until > time.monotonic():
            return known.caller
        if hmac.compare_digest(digest, self._admin_digest):
            return self._admin(project)
        key_id = key_id_of(text)
        if key_id is None:
            raise InvalidKey
        return self._check(key_id, project, digest)

    def require_valid(self, caller: Caller) -> None:
        """Raises what ``caller_of`` raises once the key of this caller has ended. For calls that last."""
        if caller.key_id is not None:
            known = self._checked.get((caller.key_id, caller.tenant))
            if known is None or known.until <= time.monotonic():
                self._check(caller.key_id, caller.tenant, None)

    def _admin(self, project: Tenant | None) -> Caller:
        if project is not None and project != DEFAULT_TENANT:
            _require_live(self._store.run(queries.tenant(project)))
        return Caller(project or DEFAULT_TENANT, frozenset(Scope), holder="admin")

    def _check(self, key_id: str, project: Tenant | None, digest: str | None) -> Caller:
        """``digest``: of the key that was presented; None for a caller whose key was checked before."""
        asked_at = time.monotonic()
        use = self._store.run(use_key(key_id, project))
        key = use.key
        # A key that does not exist takes as long as one with another secret.
        is_same = (key.matches(digest) if key else hmac.compare_digest(digest, self._admin_digest)) if digest else True
        if key is None or not is_same or key.has_ended(use.now_ms):
            raise InvalidKey
        caller = Caller(_tenant_for(key, project, use), key.scopes, key.key_id, key.holder)
        left = REMEMBER_SECONDS if key.expires_at_ms is None else (key.expires_at_ms - use.now_ms) / 1000
        checked = _Checked(caller, asked_at + min(REMEMBER_SECONDS, left))
        self._remember((digest or key_id, project), checked)
        self._remember((key_id, caller.tenant), checked)
        return caller

    def _remember(self, name: tuple[str, Tenant | None], checked: _Checked) -> None:
        self._checked[name] = checked
        self._checked.move_to_end(name)
        if len(self._checked) > _MAX_REMEMBERED:
            self._checked.popitem(last=False)


def _tenant_for(key: KeyRecord, project: Tenant | None, use: KeyUse) -> Tenant:
    if project not in {None, key.tenant} and key.role not in ROLES_FOR_ANY_TENANT:
        raise Forbidden("the API key belongs to another tenant than the one in OpenAI-Project")
    _require_live(use.tenant)
    return project or key.tenant


def _require_live(tenant: TenantRecord | None) -> None:
    if tenant is None:
        raise no_such_tenant()
    if tenant.archived_at_ms is not None:
        raise TenantArchived("the tenant is archived")
