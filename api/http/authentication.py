"""The one door: decides for each request who sends it and whether it may, before any view runs.

With CHATQUEUE_ADMIN_KEY every request needs an API key, except for health checks and the documentation. Whether keys
are needed depends on the settings alone, never on what Redis holds: a lost Redis opens nothing. A new view needs the
administrator's key until it is listed in scopes.py.

Logs:
    authentication_failed  request_id, reason: no more than the name of the error; keys and addresses are not logged
"""

import hashlib
import logging
from collections.abc import Mapping
from typing import Any, Final

from flask import Flask, g, request

from api.http.scopes import PUBLIC, needed_scope
from api.http.stream_tokens import TOKEN_VIEWS, StreamTokens
from api.services import Services, let_in, services_of
from guards.client_address import client_address
from guards.path_prefix import Forwarders
from jobs.api_keys import ANYBODY, KEY_PREFIX, Caller
from jobs.errors import Forbidden, InvalidKey, TooManyFailures
from jobs.key_ring import KeyRing
from jobs.settings import Settings
from jobs.storage.transitions.access import FAILURES_SECONDS, note_auth_failure
from jobs.tenant import Tenant, read_tenant

logger = logging.getLogger(__name__)

_SCHEME: Final = "bearer"
_MAX_CHARS: Final = 1_000  # of a header with a key; an administrator's own key may be longer than ours


def install(app: Flask, settings: Settings) -> None:
    """Give each request its caller. Call it after the guard against other sites' pages."""
    whole = services_of(app)
    door = _Door(settings, whole, whole.keys) if whole.keys else None

    def authenticate() -> None:
        endpoint = request.endpoint
        let_in(whole, ANYBODY if door is None or endpoint in PUBLIC else door.admit(endpoint))

    app.before_request(authenticate)


class _Door:
    """For a service with keys."""

    def __init__(self, settings: Settings, whole: Services, keys: KeyRing) -> None:
        self._store = whole.store
        self._keys = keys
        self._tokens = StreamTokens.of(settings)
        self._forwarders = Forwarders.read(settings.forwarded_allow_ips)
        self._max_failures = settings.auth_failures_per_minute

    def admit(self, endpoint: str | None) -> Caller:
        """The caller of this request.

        Raises InvalidKey, Forbidden, TooManyFailures, TenantNotFound and StoreUnavailable.
        """
        try:
            caller = self._caller(endpoint, request.environ)
        except InvalidKey:
            self._count_failure()
            raise
        if needed_scope(endpoint) not in caller.scopes and request.method != "OPTIONS":
            raise Forbidden("the API key may not do this")
        return caller

    def _caller(self, endpoint: str | None, environ: Mapping[str, Any]) -> Caller:
        if KEY_PREFIX in environ.get("QUERY_STRING", ""):
            raise InvalidKey  # it may have been logged on its way
        text = bearer_of(environ.get("HTTP_AUTHORIZATION", ""))
        if text is None and endpoint in TOKEN_VIEWS and (token := request.args.get("token")):
            caller = self._tokens.caller_of(token, (request.view_args or {}).get("job_id", ""))
            self._keys.require_valid(caller)
            return caller
        if text is None:
            raise InvalidKey
        return self._keys.caller_of(text, _project(environ.get("HTTP_OPENAI_PROJECT")))

    def _count_failure(self) -> None:
        """Raises TooManyFailures. A request without any key is no failure: a client asks so which scheme to use."""
        if not request.environ.get("HTTP_AUTHORIZATION"):
            return
        address = client_address(request.environ, self._forwarders)
        digest = hashlib.blake2b(address.encode(), digest_size=8).hexdigest()
        failures, *_ = self._store.run_all(note_auth_failure(digest))
        logger.info("authentication_failed request_id=%s reason=invalid_api_key", g.request_id)
        if failures > self._max_failures:
            raise TooManyFailures(
                "too many requests with a wrong API key from this address", retry_after_seconds=FAILURES_SECONDS
            )


def bearer_of(header: str) -> str | None:
    """The key in a header Authorization; None if there is none."""
    scheme, _, text = header.partition(" ")
    return text.strip() or None if scheme.lower() == _SCHEME and len(header) <= _MAX_CHARS else None


def _project(header: str | None) -> Tenant | None:
    """Raises Forbidden for what cannot be a tenant."""
    if not header:
        return None
    tenant = read_tenant(header)
    if tenant is None:
        raise Forbidden("OpenAI-Project does not name a tenant of this API key")
    return tenant
