"""How a repeated request is recognised: the fingerprint of a request and the digest of a caller's key."""

import hashlib
import json

from jobs.kinds.base import JobRequest


def fingerprint(request: JobRequest) -> str:
    """Tells two requests apart under one Idempotency-Key. The order of names, and what is empty, make no difference.

    Nor does what a previous response stands for, which may not be there any more when the request comes again.
    """
    dumped = request.model_dump(mode="json", exclude_none=True, exclude=set(request.unfingerprinted_fields))
    said = {name: value for name, value in dumped.items() if value not in ({}, [])}  # a temperature of 0 is said
    return hashlib.blake2b(json.dumps(said, sort_keys=True).encode(), digest_size=16).hexdigest()


def idempotency_digest(key: str) -> str:
    """A caller's key at a fixed length: callers send anything, and it may be telling."""
    return hashlib.blake2b(key.encode(), digest_size=16).hexdigest()
