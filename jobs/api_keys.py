"""API keys: their format, their rights, and what is stored of one.

    sk-cq-<public id>-<secret><checksum>
          12          43      6          characters of base62

The public id names the key in lists and logs. The secret has 256 random bits, so a plain SHA-256 protects it. The
checksum (CRC-32, as GitHub's tokens have) finds a mistyped key without a look-up, and lets scanners recognise a key.
The text of a key is returned once, when it is made; only its SHA-256 is stored.
"""

import hashlib
import hmac
import re
import secrets
import string
import zlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import BeforeValidator, Field, ValidationError

from jobs.base import FrozenModel
from jobs.tenant import DEFAULT_TENANT, Tenant

KEY_PREFIX: Final = "sk-cq-"
KEY_ID_PATTERN: Final = "^[0-9A-Za-z]{12}$"
_ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_ID_CHARS: Final = 12
_SECRET_CHARS: Final = 43  # 62 ** 43 > 2 ** 256
_CHECKSUM_CHARS: Final = 6  # 62 ** 6 > 2 ** 32
_KEY: Final = re.compile(rf"{KEY_PREFIX}([0-9A-Za-z]{{{_ID_CHARS}}})-[0-9A-Za-z]{{{_SECRET_CHARS + _CHECKSUM_CHARS}}}")


class Scope(StrEnum):
    """What a key may do."""

    SUBMIT = "submit"  # make jobs, and retry one
    READ = "read"  # see jobs, answers and lists
    CANCEL = "cancel"  # cancel and delete jobs
    DOCUMENTS_READ = "documents:read"  # see, download and ask documents
    DOCUMENTS_WRITE = "documents:write"  # upload and delete documents
    RETRY_MANY = "retry-many"
    STATS = "stats"
    METRICS = "metrics"  # the state of the whole service
    ADMIN = "admin"  # keys and tenants


class Role(StrEnum):
    MEMBER = "member"
    READ = "read"
    SERVICE = "service"  # acts for the tenant in the header OpenAI-Project
    ADMIN = "admin"  # as service; also keys, tenants and the whole service


_OF_MEMBERS: Final = frozenset(Scope) - {Scope.METRICS, Scope.ADMIN}
SCOPES_OF: Final = {
    Role.MEMBER: _OF_MEMBERS,
    Role.READ: frozenset({Scope.READ, Scope.DOCUMENTS_READ, Scope.STATS}),
    Role.SERVICE: _OF_MEMBERS,
    Role.ADMIN: frozenset(Scope),
}
ROLES_FOR_ANY_TENANT: Final = frozenset({Role.SERVICE, Role.ADMIN})


@dataclass(frozen=True)
class NewKey:
    """A key that was just made; ``text`` is known nowhere else."""

    key_id: str
    text: str

    @classmethod
    def make(cls) -> Self:
        key_id, secret = _random(_ID_CHARS), _random(_SECRET_CHARS)
        return cls(key_id, f"{KEY_PREFIX}{key_id}-{secret}{_checksum(key_id + secret)}")

    def __repr__(self) -> str:
        return f"NewKey({self.key_id})"


def key_id_of(text: str) -> str | None:
    """The public id of a well-formed key; None for any other text, also for a mistyped key."""
    found = _KEY.fullmatch(text)
    if found is None:
        return None
    secret = text[-_SECRET_CHARS - _CHECKSUM_CHARS : -_CHECKSUM_CHARS]
    return found[1] if hmac.compare_digest(text[-_CHECKSUM_CHARS:], _checksum(found[1] + secret)) else None


def digest_of(text: str) -> str:
    """What is stored of a key. A header never contains half a surrogate pair, which could not be encoded."""
    return hashlib.sha256(text.encode()).hexdigest()


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _checksum(text: str) -> str:
    number, digits = zlib.crc32(text.encode()), ""
    for _ in range(_CHECKSUM_CHARS):
        number, digit = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits


def _read_scopes(value: object) -> object:
    """The form in the record's hash: separated by spaces."""
    return value.split() if isinstance(value, str) else value


class KeyRecord(FrozenModel):
    """What is stored of a key. All times are in ms, by the clock of Redis."""

    key_id: str
    sha256: str = Field(repr=False)
    tenant: Tenant
    role: Role
    name: str = ""
    only: Annotated[frozenset[Scope], BeforeValidator(_read_scopes)] = frozenset()  # of the role's scopes; empty: all
    holder: str  # the same for a key and those that have replaced it
    created_at_ms: int = 0
    expires_at_ms: int | None = None
    revoked_at_ms: int | None = None
    last_used_at_ms: int | None = None  # by the minute

    @classmethod
    def from_hash(cls, key_id: str, fields: dict[str, str]) -> Self | None:
        """The record; None if it is damaged, or if a newer version wrote what this one cannot judge."""
        try:
            return cls.model_validate(fields | {"key_id": key_id})
        except ValidationError:
            return None

    @property
    def scopes(self) -> frozenset[Scope]:
        return SCOPES_OF[self.role] & self.only if self.only else SCOPES_OF[self.role]

    def has_ended(self, now_ms: int) -> bool:
        """Whether it was revoked or has expired."""
        return self.revoked_at_ms is not None or (self.expires_at_ms is not None and self.expires_at_ms <= now_ms)

    def matches(self, digest: str) -> bool:
        return hmac.compare_digest(self.sha256, digest)


@dataclass(frozen=True)
class Caller:
    """Who sends a request, and what it may do. ``key_id`` is None for the key of the settings, and without keys.

    ``holder``: tells callers of one tenant apart, and stays when a key is replaced. None: nobody has asked for a key.
    """

    tenant: Tenant
    scopes: frozenset[Scope]
    key_id: str | None = None
    holder: str | None = None

    @property
    def sees_everything(self) -> bool:
        """Whether it may see the state of the whole service."""
        return Scope.METRICS in self.scopes


ANYBODY: Final = Caller(DEFAULT_TENANT, frozenset(Scope))  # the caller of a service without keys
