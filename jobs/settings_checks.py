"""Checks of the settings: the schemes of URLs, and the values that must fit each other."""

import re
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import AfterValidator, SecretStr

from guards.browser_requests import read_names, read_origins
from guards.path_prefix import Forwarders, read_prefix
from jobs.redis_urls import REDIS_SCHEMES, check_form

if TYPE_CHECKING:
    from jobs.settings import Settings

BROKER_SCHEMES: Final = (*REDIS_SCHEMES, "amqp://", "amqps://", "pyamqp://")
OBJECT_STORE_SCHEMES: Final = ("s3://", "gs://", "abfss://", "file://")

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


def _check_scheme(url: str, schemes: tuple[str, ...]) -> None:
    if not url.startswith(schemes):
        raise ValueError(f"must start with one of {', '.join(schemes)}")


def _redis_url(url: SecretStr) -> SecretStr:
    _check_scheme(url.get_secret_value(), REDIS_SCHEMES)
    check_form(url.get_secret_value())
    return url


def _broker_url(url: SecretStr) -> SecretStr:
    _check_scheme(url.get_secret_value(), BROKER_SCHEMES)
    check_form(url.get_secret_value())
    return url


# A host or an [IPv6 address], perhaps after credentials, and a port; no blank anywhere.
_HTTP_HOST: Final = re.compile(
    r"https?://(?:[^\s/?#@]*@)?(?:[^\s/?#@:\[\]]+|\[[\da-fA-F:.]+\])(?::\d{1,5})?(?:[/?#]\S*)?\Z"
)


def _api_key(key: SecretStr) -> SecretStr:
    """A mounted secret ends with a line break, which no header can contain."""
    stripped = key.get_secret_value().strip()
    if not re.fullmatch(r"[\x21-\x7e]+", stripped):
        raise ValueError("must be visible ASCII characters without spaces and line breaks")
    return SecretStr(stripped)


def _http_url(url: str) -> str:
    _check_scheme(url, ("http://", "https://"))
    if not _HTTP_HOST.match(url):
        raise ValueError("must have a host, such as https://host.example/v1, and no blanks")
    return url


def _object_store_url(url: str) -> str:
    _check_scheme(url, OBJECT_STORE_SCHEMES)
    return url


def _host_names(text: str) -> str:
    read_names(text)
    return text


def _origins(text: str) -> str:
    read_origins(text)
    return text


def _path_prefix(text: str) -> str:
    return read_prefix(text)


def _forwarders(text: str) -> str:
    Forwarders.read(text)
    return text


PathPrefix = Annotated[str, AfterValidator(_path_prefix)]
ForwarderAddresses = Annotated[str, AfterValidator(_forwarders)]
HostNames = Annotated[str, AfterValidator(_host_names)]
Origins = Annotated[str, AfterValidator(_origins)]
ApiKey = Annotated[SecretStr, AfterValidator(_api_key)]
BrokerUrl = Annotated[SecretStr, AfterValidator(_broker_url)]
RedisStoreUrl = Annotated[SecretStr, AfterValidator(_redis_url)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
ObjectStoreUrl = Annotated[str, AfterValidator(_object_store_url)]


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
