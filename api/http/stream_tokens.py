"""Tokens with which a browser follows one job: an EventSource cannot send a header.

    <end of life, s>.<id of the key or ->.<tenant>.<signature>

A token is valid for one job and for the views in TOKEN_VIEWS. It is signed with a secret that follows from the
administrator's key, so every process can check it and nothing is stored. It ends with the key that it was made with.
"""

import base64
import hashlib
import hmac
import time
from typing import Final, Self

from jobs.api_keys import Caller, Scope
from jobs.errors import InvalidKey
from jobs.settings import Settings
from jobs.tenant import read_tenant

TOKEN_VIEWS: Final = frozenset({"chat.show_chat", "chat.follow_chat"})
_SCOPES: Final = frozenset({Scope.READ})
_PURPOSE: Final = b"chatqueue stream token"
_PARTS: Final = 4
_NO_KEY: Final = "-"  # made with the administrator's key


class StreamTokens:
    """Makes and checks the tokens of a service."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Without an administrator's key nobody checks a token."""
        admin_key = settings.admin_key.get_secret_value() if settings.admin_key else ""
        return cls(hmac.digest(admin_key.encode(), _PURPOSE, hashlib.sha256))

    def make(self, caller: Caller, job_id: str, seconds: float) -> str:
        """A token for this job, which ends after so many seconds."""
        claims = f"{int(time.time() + seconds)}.{caller.key_id or _NO_KEY}.{caller.tenant}"
        return f"{claims}.{self._sign(claims, job_id)}"

    def caller_of(self, token: str, job_id: str) -> Caller:
        """Who has made the token; it may only read. Raises InvalidKey."""
        claims, _, signature = token.rpartition(".")
        parts = claims.split(".")
        if len(parts) != _PARTS - 1 or not hmac.compare_digest(
            signature.encode(errors="replace"), self._sign(claims, job_id).encode()
        ):
            raise InvalidKey
        ends_at, key_id, tenant = parts[0], parts[1], read_tenant(parts[2])
        if tenant is None or int(ends_at) <= time.time():
            raise InvalidKey
        return Caller(tenant, _SCOPES, None if key_id == _NO_KEY else key_id)

    def _sign(self, claims: str, job_id: str) -> str:
        signature = hmac.digest(self._secret, f"{claims}.{job_id}".encode(errors="replace"), hashlib.sha256)
        return base64.urlsafe_b64encode(signature).decode().rstrip("=")
