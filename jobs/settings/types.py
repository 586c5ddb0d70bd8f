"""The types of the settings: numbers with their bounds, URLs with their schemes, lists of names."""

import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field, SecretStr

from guards.browser_requests import read_names, read_origins
from guards.path_prefix import Forwarders, read_prefix
from jobs.redis_urls import REDIS_SCHEMES, check_form

BROKER_SCHEMES: Final = (*REDIS_SCHEMES, "amqp://", "amqps://", "pyamqp://")
OBJECT_STORE_SCHEMES: Final = ("s3://", "gs://", "abfss://", "file://")

_MIN_ADMIN_KEY_CHARS: Final = 16
MAX_SECONDS: Final = 10 * 365 * 86_400.0  # ten years; an infinite time breaks timers
Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=MAX_SECONDS)]
Count = Annotated[int, Field(ge=1)]


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


def _api_key(key: SecretStr) -> SecretStr:
    """A mounted secret ends with a line break, which no header can contain."""
    stripped = key.get_secret_value().strip()
    if not re.fullmatch(r"[\x21-\x7e]+", stripped):
        raise ValueError("must be visible ASCII characters without spaces and line breaks")
    return SecretStr(stripped)


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


def _admin_key(key: SecretStr) -> SecretStr:
    stripped = _api_key(key)
    if len(stripped.get_secret_value()) < _MIN_ADMIN_KEY_CHARS:
        raise ValueError(f"must have at least {_MIN_ADMIN_KEY_CHARS} characters, so that it cannot be guessed")
    return stripped


PathPrefix = Annotated[str, AfterValidator(_path_prefix)]
ForwarderAddresses = Annotated[str, AfterValidator(_forwarders)]
HostNames = Annotated[str, AfterValidator(_host_names)]
Origins = Annotated[str, AfterValidator(_origins)]
ApiKey = Annotated[SecretStr, AfterValidator(_api_key)]
AdminKey = Annotated[SecretStr, AfterValidator(_admin_key)]
BrokerUrl = Annotated[SecretStr, AfterValidator(_broker_url)]
RedisStoreUrl = Annotated[SecretStr, AfterValidator(_redis_url)]
ObjectStoreUrl = Annotated[str, AfterValidator(_object_store_url)]
