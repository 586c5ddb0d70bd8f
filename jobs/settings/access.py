"""Who may use the API."""

import ipaddress
from typing import Annotated, Final

from pydantic import BaseModel, Field

from jobs.settings.types import AdminKey

_MAX_TOKEN_SECONDS: Final = 3_600.0


class AccessSettings(BaseModel):
    admin_key: AdminKey | None = Field(
        default=None,
        description="API key of the administrator, of at least 16 characters. If it is set, every call needs an API "
        "key. Not set: nobody needs one, and the web process listens on this machine only.",
    )
    is_open: bool = Field(
        default=False,
        validation_alias="CHATQUEUE_OPEN",
        description="`1`: without CHATQUEUE_ADMIN_KEY, let CHATQUEUE_WEB_HOST be an address that other machines reach. "
        "Then everybody who reaches it sees all jobs and documents.",
    )
    auth_failures_per_minute: Annotated[int, Field(ge=1)] = Field(
        default=100, description="Requests with a wrong API key that one address may send in a minute; more get 429."
    )
    stream_token_seconds: Annotated[float, Field(gt=0, le=_MAX_TOKEN_SECONDS)] = Field(
        default=900.0, description="Lifetime of a token with which a browser follows one job, at most an hour."
    )


def open_to_network(host: str, settings: AccessSettings) -> str | None:
    """Why the web process must not listen on this address; None if it may."""
    if settings.admin_key is not None or settings.is_open or _is_loopback(host):
        return None
    return (
        f"without API keys, {host} would let every machine that reaches it see all jobs: set CHATQUEUE_ADMIN_KEY, "
        "or CHATQUEUE_OPEN=1 if that is intended"
    )


def _is_loopback(host: str) -> bool:
    """Names other than localhost count as other machines: what they resolve to may change."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
