"""Requests and responses of the administration of tenants and API keys, and of stream tokens."""

from datetime import datetime
from typing import Annotated, Final, Self

from pydantic import Field

from api.schemas.requests import RequestParameters
from api.schemas.responses import utc, utc_or_none
from jobs.api_keys import KeyRecord, Role, Scope
from jobs.base import FrozenModel
from jobs.requests import RequestModel
from jobs.storage.transitions.access import TenantRecord
from jobs.tenant import TENANT_PATTERN

_MAX_NAME_CHARS: Final = 200
_MAX_SECONDS: Final = 10 * 365 * 86_400.0
_MAX_OVERLAP_SECONDS: Final = 30 * 86_400.0
_MAX_TOKEN_SECONDS: Final = 3_600.0

Name = Annotated[str, Field(max_length=_MAX_NAME_CHARS)]
TenantName = Annotated[str, Field(pattern=TENANT_PATTERN)]


class NewTenantBody(RequestModel):
    """A new tenant."""

    name: Name = Field(default="", description="For people.")


class TenantObject(FrozenModel):
    """A tenant: OpenAI calls it a project."""

    tenant: str = Field(description="Id of the tenant; also the value of `OpenAI-Project`.")
    name: str = Field(description="For people.")
    created_at: datetime | None = Field(description="Null for the tenant `default`, which always exists.")
    archived_at: datetime | None = Field(description="Since when its keys no longer work; null if they do.")

    @classmethod
    def of(cls, record: TenantRecord) -> Self:
        return cls(
            tenant=record.tenant,
            name=record.name,
            created_at=utc_or_none(record.created_at_ms or None),
            archived_at=utc_or_none(record.archived_at_ms),
        )


class TenantListBody(FrozenModel):
    """All tenants, the oldest first."""

    tenants: tuple[TenantObject, ...] = Field(description="The tenants.")


class NewKeyBody(RequestModel):
    """A new API key."""

    tenant: TenantName = Field(default="default", description="The tenant of the key.")
    name: Name = Field(default="", description="For people.")
    role: Role = Field(default=Role.MEMBER, description="What the key may do.")
    scopes: Annotated[tuple[Scope, ...], Field(max_length=len(Scope), fail_fast=True)] = Field(
        default=(), description="Only these of the role's scopes; empty: all of them."
    )
    lifetime_seconds: Annotated[float, Field(gt=0, le=_MAX_SECONDS)] | None = Field(
        default=None, description="After which the key expires; null: never."
    )


class KeysQuery(RequestParameters):
    """Whose keys to list."""

    tenant: TenantName = Field(default="default", description="The tenant of the keys.")


class RotationBody(RequestModel):
    """How to replace an API key."""

    overlap_seconds: Annotated[float, Field(gt=0, le=_MAX_OVERLAP_SECONDS)] = Field(
        default=86_400.0, description="For which the old key still works."
    )


class KeyObject(FrozenModel):
    """An API key, without its text."""

    key_id: str = Field(description="Public id of the key.")
    redacted_value: str = Field(description="The beginning of the key.")
    tenant: str = Field(description="The tenant of the key.")
    name: str = Field(description="For people.")
    role: Role = Field(description="What the key may do.")
    scopes: tuple[Scope, ...] = Field(description="What the key may do, one by one.")
    created_at: datetime = Field(description="When the key was made.")
    expires_at: datetime | None = Field(description="When the key expires; null: never.")
    revoked_at: datetime | None = Field(description="When the key was revoked; null if it was not.")
    last_used_at: datetime | None = Field(description="When the key was last used, by the minute; null: never.")

    @classmethod
    def of(cls, record: KeyRecord) -> Self:
        return cls(**_fields(record))


class NewKeyObject(KeyObject):
    """A new API key with its text, which is shown this once."""

    value: str = Field(description="The key. It is stored nowhere: keep it.", repr=False)

    @classmethod
    def made(cls, record: KeyRecord, text: str) -> Self:
        return cls(**_fields(record), value=text)


class KeyListBody(FrozenModel):
    """The API keys of a tenant, the oldest first."""

    keys: tuple[KeyObject, ...] = Field(description="The keys, with those that were revoked or have expired.")


class TokenBody(RequestModel):
    """How long a token is valid."""

    ttl_seconds: Annotated[float, Field(gt=0, le=_MAX_TOKEN_SECONDS)] | None = Field(
        default=None, description="Lifetime of the token; null: the server's default."
    )


class StreamToken(FrozenModel):
    """A token with which a browser follows one job."""

    token: str = Field(description="Send it as the query parameter `token`.", repr=False)
    expires_at: datetime = Field(description="When the token expires.")


def _fields(record: KeyRecord) -> dict[str, object]:
    return {
        "key_id": record.key_id,
        "redacted_value": f"sk-cq-{record.key_id}-...",
        "tenant": record.tenant,
        "name": record.name,
        "role": record.role,
        "scopes": tuple(scope for scope in Scope if scope in record.scopes),
        "created_at": utc(record.created_at_ms),
        "expires_at": utc_or_none(record.expires_at_ms),
        "revoked_at": utc_or_none(record.revoked_at_ms),
        "last_used_at": utc_or_none(record.last_used_at_ms),
    }
