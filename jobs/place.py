"""Where a job waits: its pool, its lane, and whose turn it takes."""

import hashlib
from typing import Final

from jobs.kinds import KINDS
from jobs.kinds.base import JobRequest, PassthroughRequest
from jobs.models import NO_PROVIDER, Lane, Place
from jobs.settings import Settings

_DIGEST_BYTES: Final = 8  # of a fair key, which may be a person's name or address
_USER_FIELDS: Final = ("safety_identifier", "user")  # OpenAI's names for the caller's own user
_FLEX_TIER: Final = "flex"  # OpenAI's service tier for work that may wait


def place_of(request: JobRequest, settings: Settings, lane: Lane | None, fair_key: str | None) -> Place:
    """Where the job waits.

    ``lane``: None for that of the request, which is batch if it asks for OpenAI's flex tier. ``fair_key``: of the
    caller's user; None for the user that the request names, if any. Raises ModelNotFound and UnsupportedFeature.
    """
    body = request.body if isinstance(request, PassthroughRequest) else {}
    named = next((body[name] for name in _USER_FIELDS if isinstance(body.get(name), str) and body[name]), None)
    if lane is None:
        lane = Lane.BATCH if body.get("service_tier") == _FLEX_TIER else Lane.INTERACTIVE
    return Place(pool=pool_of(request, settings), lane=lane, fair_key=_digest(fair_key or named))


def model_of(request: JobRequest, settings: Settings) -> str | None:
    """The model that the request asks for, or the default of its kind; None if it calls no provider."""
    default = KINDS[request.kind].default_model
    return request.model or (None if default is None else getattr(settings, default))


def pool_of(request: JobRequest, settings: Settings) -> str:
    """The pool in which the job waits, or NO_PROVIDER. Raises ModelNotFound and UnsupportedFeature."""
    model = model_of(request, settings)
    if model is None:
        return NO_PROVIDER
    return settings.providers.waiting_pool_of(model, request.needs_responses_api)


def _digest(fair_key: str | None) -> str | None:
    if not fair_key:
        return None
    return hashlib.blake2b(fair_key.encode(errors="surrogatepass"), digest_size=_DIGEST_BYTES).hexdigest()
