"""Whether each provider answers and accepts its key: one request for its list of models."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

import httpx2

from jobs.settings import Settings
from local.doctor.finding import Finding, Level
from local.reasons import system_reason

_TIMEOUT: Final = httpx2.Timeout(10, connect=5)
_REFUSED: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


def check_providers(settings: Settings) -> Iterator[Finding]:
    if settings.has_offline_model:
        advice = "set OPENAI_API_KEY or OPENAI_BASE_URL to use a real model"
        yield Finding("provider", Level.NOTE, f"answers come from the offline stub: {advice}")
        return
    for name, config in settings.providers.providers.items():
        provider = f"provider {name}" if settings.providers_file else "the provider"
        url_setting = "its base_url" if settings.providers_file else "OPENAI_BASE_URL"
        key_setting = config.api_key_env or "OPENAI_API_KEY"
        api_key = settings.providers.api_key_of(name).get_secret_value()
        level, message = _ask(config.base_url, api_key, url_setting, key_setting)
        yield Finding("provider", level, f"{provider} at {_address(config.base_url)} {message}")


def _address(base_url: str) -> str:
    """The URL without credentials and query."""
    parts = urlsplit(base_url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _ask(base_url: str, api_key: str, url_setting: str, key_setting: str) -> tuple[Level, str]:
    """What is wrong with this provider, and the remedy. Redirects are not followed, as by the workers."""
    url = f"{base_url.rstrip('/')}/models"
    try:
        status = httpx2.get(url, headers={"Authorization": f"Bearer {api_key}"}, timeout=_TIMEOUT).status_code
    except (httpx2.TransportError, httpx2.InvalidURL) as error:
        reason = system_reason(error) or type(error).__name__
        return Level.PROBLEM, f"cannot be reached ({reason}): correct {url_setting}, or check network and firewall"
    if status in _REFUSED:
        return Level.PROBLEM, f"refuses the API key (status {status}): correct {key_setting}"
    if status == HTTPStatus.NOT_FOUND:
        return Level.PROBLEM, f"has no /models (status 404): {url_setting} usually ends in /v1"
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return Level.PROBLEM, f"redirects the call (status {status}): set {url_setting} to the address it redirects to"
    if status >= HTTPStatus.BAD_REQUEST:
        return Level.WARNING, f"answers with status {status}: jobs are retried until it recovers"
    return Level.OK, "answers and accepts the key"
