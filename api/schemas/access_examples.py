"""Examples of the administration of tenants and API keys in the OpenAPI document."""

from typing import Any, Final

from api.schemas.examples import named
from jobs.api_keys import KEY_ID_PATTERN
from jobs.tenant import TENANT_PATTERN

_TENANT: Final = "proj_8sK2mQ0vXcR4tYbN6pLw1ZaE"
_KEY: Final = "0a1B2c3D4e5F"


def _path(name: str, description: str, pattern: str, example: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": {"type": "string", "pattern": pattern},
        "example": example,
    }


TENANT_ID: Final = _path("tenant", "Id of the tenant.", TENANT_PATTERN, _TENANT)
KEY_ID: Final = _path("key_id", "Public id of the key.", KEY_ID_PATTERN, _KEY)
NEW_TENANTS: Final = named(named={"name": "Support"})
TENANT: Final = {"tenant": _TENANT, "name": "Support", "created_at": "2026-11-21T10:00:00Z", "archived_at": None}
ARCHIVED_TENANT: Final = TENANT | {"archived_at": "2026-11-22T10:00:00Z"}
TENANTS: Final = {"tenants": [TENANT]}
NEW_KEYS: Final = named(
    short={"tenant": _TENANT},
    full={"tenant": _TENANT, "name": "page", "role": "member", "scopes": ["read"], "lifetime_seconds": 86_400},
)
KEY: Final = {
    "key_id": _KEY,
    "redacted_value": f"sk-cq-{_KEY}-...",
    "tenant": _TENANT,
    "name": "page",
    "role": "member",
    "scopes": ["read"],
    "created_at": "2026-11-21T10:00:00Z",
    "expires_at": "2026-11-22T10:00:00Z",
    "revoked_at": None,
    "last_used_at": None,
}
REVOKED_KEY: Final = KEY | {"revoked_at": "2026-11-21T11:00:00Z"}
KEYS: Final = {"keys": [KEY]}
NEW_KEY: Final = KEY | {"value": f"sk-cq-{_KEY}-..."}
ROTATIONS: Final = named(short={}, full={"overlap_seconds": 86_400})
TOKENS: Final = named(short={}, full={"ttl_seconds": 900})
TOKEN: Final = {"token": "1795860000.0a1B2c3D4e5F.default.c2lnbmF0dXJl", "expires_at": "2026-11-21T10:15:00Z"}
