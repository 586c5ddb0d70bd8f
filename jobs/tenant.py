"""Tenants: who owns a job or a document. OpenAI calls a tenant a project.

A ``Tenant`` is a type of its own, so that no other text is taken for one. Jobs and documents are reached through the
``TenantStore`` of a tenant, which hides those of every other tenant.
"""

import re
from typing import Final, NewType

Tenant = NewType("Tenant", str)

TENANT_PATTERN: Final = "^[A-Za-z0-9_-]{1,64}$"  # it is part of Redis keys, which have colons between their parts
_TENANT: Final = re.compile(TENANT_PATTERN)
DEFAULT_TENANT: Final = Tenant("default")  # the tenant of every job of a service without keys


def read_tenant(text: str) -> Tenant | None:
    """The tenant of that name, whether or not it exists; None if no tenant can have that name."""
    return Tenant(text) if _TENANT.fullmatch(text) else None  # not match: its `$` accepts a trailing line break
