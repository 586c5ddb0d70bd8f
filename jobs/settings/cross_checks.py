"""The settings that must fit each other."""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from jobs.settings import Settings

_AT_MOST: Final = "not exceed"
_BELOW: Final = "be below"
# Lesser setting, relation, greater setting, and the reason unless it is obvious. A lesser setting that must not exceed
# the greater one and is not set itself follows it.
_ORDERED_PAIRS: Final = (
    ("provider_connect_seconds", _AT_MOST, "provider_total_seconds", ""),
    ("provider_idle_seconds", _AT_MOST, "provider_total_seconds", ""),
    ("provider_first_token_seconds", _AT_MOST, "provider_total_seconds", ""),
    ("quarantine_after_worker_losses", _BELOW, "max_worker_losses", ": otherwise no job would reach quarantine"),
    ("backoff_base_seconds", _AT_MOST, "backoff_cap_seconds", ""),
    ("document_chunk_overlap", _BELOW, "document_chunk_tokens", ""),
    ("document_chunk_tokens", _BELOW, "document_context_tokens", ": a prompt must have room for more than one chunk"),
    ("events_ttl_seconds", _AT_MOST, "result_ttl_seconds", ": an event log never outlives its answer"),
    (
        "idempotency_ttl_seconds",
        _AT_MOST,
        "result_ttl_seconds",
        ": a repeated key must not lead to a job that has expired",
    ),
)

_SINGLE_PROVIDER_LIMITS: Final = ("provider_requests_per_minute", "provider_tokens_per_minute", "provider_concurrency")
_SIZES: Final = (  # of one, and of all together; compared only if the first is set
    ("max_body_bytes", "max_bodies_bytes"),
    ("max_body_bytes", "max_queued_bytes"),
    ("max_body_files_bytes", "max_bodies_bytes"),
    ("max_body_files_bytes", "max_queued_bytes"),
    ("document_max_bytes", "documents_max_bytes"),
)
_REDIS_TIMES: Final = ("redis_connect_seconds", "redis_timeout_seconds")


def cross_check(settings: "Settings") -> None:
    """Raises ValueError, which names settings that contradict each other, or what is wrong in the providers file.

    A setting that is not set follows one that it must not exceed.
    """
    if settings.heartbeat_seconds * 3 > settings.lease_seconds:
        raise ValueError(
            "CHATQUEUE_HEARTBEAT_SECONDS must be at most a third of CHATQUEUE_LEASE_SECONDS: "
            "two lost heartbeats must not cost a lease"
        )
    for name in _REDIS_TIMES:
        if getattr(settings, name) >= settings.lease_seconds - settings.heartbeat_seconds:
            raise ValueError(
                f"CHATQUEUE_{name.upper()} must be shorter than CHATQUEUE_LEASE_SECONDS minus "
                "CHATQUEUE_HEARTBEAT_SECONDS: one slow answer of Redis must not cost a lease"
            )
    for lesser, relation, greater, reason in _ORDERED_PAIRS:
        small, large = getattr(settings, lesser), getattr(settings, greater)
        if small > large and relation == _AT_MOST and lesser not in settings.model_fields_set:
            settings.__dict__[lesser] = large  # the settings are frozen for everybody else
        elif small > large or (small == large and relation == _BELOW):
            names = (f"CHATQUEUE_{name.upper()}" for name in (lesser, greater))
            raise ValueError(f" must {relation} ".join(names) + reason)
    for one, together in _SIZES:
        if one in settings.model_fields_set and getattr(settings, one) > getattr(settings, together):
            raise ValueError(
                f"CHATQUEUE_{one.upper()} must not exceed CHATQUEUE_{together.upper()}: "
                "otherwise one of that size would never be accepted"
            )
    if settings.providers_file is not None:
        _check_providers(settings)


def _check_providers(settings: "Settings") -> None:
    names = settings.providers.model_names or ()
    if settings.chat_model not in names:
        raise ValueError("CHATQUEUE_CHAT_MODEL must be a model or an alias of CHATQUEUE_PROVIDERS_FILE")
    for name in _SINGLE_PROVIDER_LIMITS:
        if getattr(settings, name) is not None:
            raise ValueError(f"CHATQUEUE_{name.upper()} must not be set with CHATQUEUE_PROVIDERS_FILE: limits go there")
