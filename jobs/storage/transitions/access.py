"""API keys and tenants. Who may send these commands is decided before: see api/http/authentication.py."""

from dataclasses import dataclass
from typing import Any

from jobs.api_keys import KeyRecord
from jobs.base import FrozenModel
from jobs.errors import TenantArchived, no_such_tenant
from jobs.storage import keys
from jobs.storage.commands import Command, plain_command, script_command, text
from jobs.storage.transitions.shared_arguments import milliseconds, pairs
from jobs.tenant import DEFAULT_TENANT, Tenant

FAILURES_SECONDS = 60  # in which the failures of one address are counted


class TenantRecord(FrozenModel):
    """What is stored of a tenant. Times are in ms, by the clock of Redis."""

    tenant: Tenant
    name: str = ""
    created_at_ms: int = 0
    archived_at_ms: int | None = None  # its keys no longer work


@dataclass(frozen=True)
class KeyUse:
    """A key, if there is one, and the tenant for which it is used, if that exists."""

    now_ms: int
    key: KeyRecord | None
    tenant: TenantRecord | None


def add_key(record: KeyRecord, lifetime_seconds: float | None) -> Command[KeyRecord]:
    """Store a new key. Returns its record with the times. Reading the reply raises TenantNotFound, TenantArchived."""

    def read(reply: list[Any]) -> KeyRecord:
        status, *times = map(text, reply)
        if status == "no_tenant":
            raise no_such_tenant()
        if status == "archived":
            raise TenantArchived("the tenant is archived", param="tenant")
        created, ends = times
        return record.model_copy(update={"created_at_ms": int(created), "expires_at_ms": int(ends) if ends else None})

    fields = record.model_dump(include={"sha256", "tenant", "role", "name", "holder"}) | {"only": " ".join(record.only)}
    return script_command(
        "key_add",
        keys={
            "key": keys.api_key(record.key_id),
            "keys_of_tenant": keys.api_keys(record.tenant),
            "tenant": keys.tenant(record.tenant),
        },
        args={
            "id": record.key_id,
            "is_default": int(record.tenant == DEFAULT_TENANT),
            "lifetime_ms": "" if lifetime_seconds is None else milliseconds(lifetime_seconds),
            "fields": pairs(fields),
        },
        read=read,
        must_be_safe=True,
    )


def end_key(key_id: str, after_seconds: float = 0) -> Command[KeyRecord | None]:
    """Revoke a key, or let it expire after a time. Returns its record; None if there is no such key."""
    return script_command(
        "key_end",
        keys={"key": keys.api_key(key_id)},
        args={"after_ms": milliseconds(after_seconds)},
        read=lambda reply: _read_key(key_id, reply),
        must_be_safe=True,
    )


def use_key(key_id: str, project: Tenant | None) -> Command[KeyUse]:
    """Read a key that someone presents, and record its use. ``project``: see key_use.lua."""

    def read(reply: list[Any]) -> KeyUse:
        now_ms, tenant_fields, key_fields = reply
        key = _read_key(key_id, key_fields)
        tenant = project or (key.tenant if key else DEFAULT_TENANT)
        return KeyUse(int(now_ms), key, read_tenant_record(tenant, _fields(tenant_fields)))

    return script_command(
        "key_use",
        keys={"key": keys.api_key(key_id), "namespace": keys.NAMESPACE},
        args={"project": project or ""},
        read=read,
    )


def add_tenant(tenant: Tenant, name: str, now_ms: int) -> list[Command[None]]:
    """Store a new tenant. Safe to send again."""
    return [
        plain_command(
            "HSET", keys.tenant(tenant), "name", name, "created_at_ms", now_ms, read=_ignore, must_be_safe=True
        ),
        plain_command("ZADD", keys.TENANT_LIST, now_ms, tenant, read=_ignore, must_be_safe=True),
    ]


def archive_tenant(tenant: Tenant, now_ms: int) -> Command[None]:
    """Let the keys of a tenant no longer work. Safe to send again."""
    return plain_command("HSETNX", keys.tenant(tenant), "archived_at_ms", now_ms, read=_ignore, must_be_safe=True)


def note_auth_failure(address_digest: str) -> list[Command[int]]:
    """Count a request with a wrong key. The first value is the number of failures of this address in a minute."""
    name = keys.auth_failures(address_digest)
    return [
        plain_command("INCR", name, read=int),
        plain_command("EXPIRE", name, FAILURES_SECONDS, "NX", read=int),
        plain_command("HINCRBY", keys.TOTALS, "auth_failures", 1, read=int),
    ]


def read_tenant_record(tenant: Tenant, fields: dict[str, str]) -> TenantRecord | None:
    """The record; None if there is no such tenant. The default tenant always exists."""
    if "created_at_ms" not in fields and tenant != DEFAULT_TENANT:
        return None
    known = {name: value for name, value in fields.items() if name in TenantRecord.model_fields}
    return TenantRecord.model_validate(known | {"tenant": tenant})


def _read_key(key_id: str, reply: list[bytes]) -> KeyRecord | None:
    fields = _fields(reply)
    return KeyRecord.from_hash(key_id, fields) if fields else None


def _fields(reply: list[bytes]) -> dict[str, str]:
    decoded = [value.decode(errors="replace") for value in reply]
    return dict(zip(decoded[::2], decoded[1::2], strict=True))


def _ignore(_: Any) -> None:
    return None
