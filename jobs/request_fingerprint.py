"""How a repeated request is recognised: by the fingerprint of the request and the digest of the caller's key."""

import hashlib
import json

from jobs.kinds.base import JobRequest


def fingerprint(request: JobRequest) -> str:
    """A digest that is equal for equal requests. The order of names and empty values make no difference.

    ``unfingerprinted_fields`` are left out: the items of a previous response may have expired before the repetition.
    """
    dumped = request.model_dump(mode="json", exclude_none=True, exclude=set(request.unfingerprinted_fields))
    fields = {name: value for name, value in dumped.items() if value not in ({}, [])}  # a temperature of 0 counts
    return hashlib.blake2b(json.dumps(fields, sort_keys=True).encode(), digest_size=16).hexdigest()


def idempotency_digest(key: str) -> str:
    """A fixed-length digest of a caller's key, which may be long and may contain personal data."""
    return hashlib.blake2b(key.encode(), digest_size=16).hexdigest()
