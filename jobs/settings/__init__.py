"""The one settings class: every value that a deployment may change, validated and cross-checked once.

The first source with a value wins: the environment, then the files of jobs/folders.py. A blank variable counts as not
set. Secrets are ``SecretStr``: no repr or log shows them.
"""

import os
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Final, Self

from dotenv import dotenv_values
from pydantic import SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from guards.private_files import read_secret
from jobs.folders import SETTINGS_FILES
from jobs.providers import MAIN_PROVIDER, OPENAI_URL, ProviderConfig, ProviderRegistry
from jobs.providers_file import read_providers_file
from jobs.redis_urls import is_same_database
from jobs.settings.access import AccessSettings
from jobs.settings.addresses import AddressSettings
from jobs.settings.attempts import AttemptSettings
from jobs.settings.cross_checks import cross_check
from jobs.settings.documents import DocumentSettings
from jobs.settings.intake import IntakeSettings
from jobs.settings.storage import StorageSettings
from jobs.settings.unknown_names import PREFIX, check_names

_OFFLINE_EMBEDDINGS: Final = "offline-words"
_UNREACHABLE_SIMILARITY: Final = 2.0  # above any cosine


class Settings(
    # The last base has the first fields.
    StorageSettings,
    DocumentSettings,
    AttemptSettings,
    IntakeSettings,
    AccessSettings,
    AddressSettings,
    BaseSettings,
):
    """All durations are in seconds, all sizes in bytes, unless the name has another unit."""

    model_config = SettingsConfigDict(
        env_file=SETTINGS_FILES,
        env_prefix=PREFIX,
        env_ignore_empty=True,
        populate_by_name=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    @model_validator(mode="after")
    def _cross_check(self) -> Self:
        cross_check(self)
        return self

    @property
    def has_embedded_redis(self) -> bool:
        """True when REDIS_URL is not set: `make up` starts an embedded server."""
        return self.redis_url is None

    @property
    def has_offline_model(self) -> bool:
        """True when no provider is set: `make up` starts the offline model."""
        return self.openai_api_key is None and self.openai_base_url is None and self.providers_file is None

    @property
    def record_url(self) -> SecretStr:
        """The Redis with the records, event logs and answers."""
        if self.redis_url is not None:
            return self.redis_url
        password = read_secret(self.embedded_redis_password_file)
        return SecretStr(f"redis://{f':{password}@' if password else ''}127.0.0.1:{self.embedded_redis_port}/0")

    @property
    def embedded_redis_password_file(self) -> Path:
        """Written by the embedded server before it starts, and readable by its user only."""
        return self.data_dir / "redis-password"

    @property
    def broker_url(self) -> SecretStr:
        return self.celery_broker_url or self.record_url

    @property
    def broker_is_record_store(self) -> bool:
        """True when messages and records share one database of one Redis: then one script writes both."""
        return is_same_database(self.broker_url.get_secret_value(), self.record_url.get_secret_value())

    @cached_property
    def providers(self) -> ProviderRegistry:
        """The providers and models of the providers file, or else the one provider of the other settings."""
        if self.providers_file is not None:
            return read_providers_file(self.providers_file, _variables())
        offline_url = f"http://127.0.0.1:{self.offline_model_port}/v1"
        provider = ProviderConfig.model_construct(  # validated already
            base_url=self.openai_base_url or (offline_url if self.has_offline_model else OPENAI_URL),
            speaks=self.provider_api,
            streams=self.provider_streams,
            requests_per_minute=self.provider_requests_per_minute,
            tokens_per_minute=self.provider_tokens_per_minute,
            concurrency=self.provider_concurrency,
            count=self.provider_token_count,
        )
        api_keys = {MAIN_PROVIDER: self.openai_api_key} if self.openai_api_key else {}
        return ProviderRegistry({MAIN_PROVIDER: provider}, api_keys)

    @property
    def document_embedding_model(self) -> str:
        """The model of a document's vectors. The offline model's have their own name, so they are never mixed up."""
        return _OFFLINE_EMBEDDINGS if self.has_offline_model else self.embedding_model

    @property
    def effective_min_similarity(self) -> float | None:
        """None: to be measured. Unreachable for the offline model, whose hashed words do not reflect meaning."""
        return _UNREACHABLE_SIMILARITY if self.has_offline_model else self.document_min_similarity


def _variables() -> dict[str, str | None]:
    """The variables that the settings are read from. A providers file names those with API keys."""
    variables: dict[str, str | None] = {}
    for file in SETTINGS_FILES:
        variables |= dotenv_values(file)
    return variables | {name: value for name, value in os.environ.items() if value}


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The settings of this process, read at the first call.

    Raises pydantic.ValidationError when a value is missing, malformed or contradicts another, and UnknownSettings for
    a misspelt name.
    """
    check_names(os.environ, SETTINGS_FILES, setting_names())
    return Settings()


def setting_names() -> list[str]:
    """The environment variable of each setting."""
    fields = Settings.model_fields.items()
    return [str(field.validation_alias or f"{PREFIX}{name.upper()}") for name, field in fields]
