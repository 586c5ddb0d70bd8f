"""The one settings class: every value that a deployment may change, validated and cross-checked once.

The first source with a value wins: the environment, ``.env.local`` (secrets, not in git), ``.env`` (committed
defaults). A blank variable counts as not set. Secrets are ``SecretStr``: no repr or log shows them.
"""

import os
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from dotenv import dotenv_values
from pydantic import BeforeValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from guards.private_files import read_secret
from jobs.model_name import ModelName
from jobs.providers import MAIN_PROVIDER, OPENAI_URL, ProviderApi, ProviderConfig, ProviderRegistry, TokenCount
from jobs.providers_file import read_providers_file
from jobs.redis_urls import is_same_database
from jobs.settings_checks import (
    ApiKey,
    BrokerUrl,
    ForwarderAddresses,
    HostNames,
    HttpUrl,
    ObjectStoreUrl,
    Origins,
    PathPrefix,
    RedisStoreUrl,
    cross_check,
)
from jobs.unknown_settings import PREFIX, check_names

PROJECT_ROOT: Final = Path(__file__).resolve().parent.parent
SECRETS_FILE: Final = PROJECT_ROOT / ".env.local"
SETTINGS_FILES: Final = (PROJECT_ROOT / ".env", SECRETS_FILE)  # the later one wins
_OFFLINE_EMBEDDINGS: Final = "offline-words"
_UNREACHABLE_SIMILARITY: Final = 2.0  # above any cosine

MAX_SECONDS: Final = 10 * 365 * 86_400.0  # ten years; an infinite time breaks timers
Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=MAX_SECONDS)]
Count = Annotated[int, Field(ge=1)]


class Settings(BaseSettings):
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

    # Where things are
    redis_url: RedisStoreUrl | None = Field(
        default=None,
        validation_alias="REDIS_URL",
        description="Redis for records, results and, unless CELERY_BROKER_URL is set, messages. "
        "redis://, rediss://, unix:// or sentinel://. Not set: `make up` starts an embedded server.",
    )
    celery_broker_url: BrokerUrl | None = Field(
        default=None,
        validation_alias="CELERY_BROKER_URL",
        description="A separate message broker: amqp://, or a form of REDIS_URL. Not set: REDIS_URL.",
    )
    openai_api_key: ApiKey | None = Field(
        default=None, validation_alias="OPENAI_API_KEY", description="API key of the provider."
    )
    openai_base_url: HttpUrl | None = Field(
        default=None,
        validation_alias="OPENAI_BASE_URL",
        description="URL of an OpenAI-compatible server. Not set: OpenAI if there is a key, else the offline model.",
    )
    providers_file: Path | None = Field(
        default=None,
        description="TOML file with several providers, models, aliases and limits: [providers.md](providers.md). "
        "OPENAI_BASE_URL and CHATQUEUE_PROVIDER_API are then not used.",
    )
    web_host: str = Field(default="127.0.0.1", description="Address that the web process listens on.")
    web_port: Port = Field(default=5000, description="Port that the web process listens on.")
    allowed_hosts: HostNames | None = Field(
        default=None,
        description="Host names, separated by commas, under which the API and Flower are reached. 127.0.0.1, "
        "localhost, [::1] and CHATQUEUE_WEB_HOST always work; other names get 421. "
        "`*`: any name, where a proxy checks it.",
    )
    cors_origins: Origins | None = Field(
        default=None,
        description="Origins, separated by commas, whose pages may use the API from a browser: `https://chat.example`. "
        "Pages of other origins get 403.",
    )
    path_prefix: PathPrefix | None = Field(
        default=None,
        validation_alias="SCRIPT_NAME",
        description="Path below which a proxy publishes the API, such as `/llm`. "
        "The proxy may remove it from the path or leave it.",
    )
    forwarded_allow_ips: ForwarderAddresses | None = Field(
        default=None,
        validation_alias="FORWARDED_ALLOW_IPS",
        description="Addresses or networks of proxies, separated by commas, whose X-Forwarded-Prefix and "
        "X-Forwarded-Proto count. `*`: those of any client.",
    )
    web_workers: Annotated[int, Field(ge=1, le=1_000)] = Field(
        default=2, description="Number of web processes under gunicorn."
    )
    flower_port: Port = Field(default=5555, description="Port of Flower, on 127.0.0.1.")
    embedded_redis_port: Port = Field(default=6390, description="Port of the embedded Redis server, on 127.0.0.1.")
    offline_model_port: Port = Field(default=6391, description="Port of the offline model, on 127.0.0.1.")
    embedded_redis_max_bytes: Annotated[int, Field(ge=16 * 1024 * 1024)] | None = Field(
        default=None,
        description="Maximum memory of the embedded Redis server. Not set: a quarter of the machine's memory.",
    )
    data_dir: Path = Field(
        default=PROJECT_ROOT / "data",
        description="Folder of the embedded Redis and of documents. Other users of the machine cannot read it.",
    )
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(str.upper)] = Field(
        default="INFO", description="Log level."
    )

    # What is accepted
    chat_model: ModelName = Field(default="gpt-5-mini", description="Default model of chat requests.")
    embedding_model: ModelName = Field(
        default="text-embedding-3-small", description="Default model of embeddings requests."
    )
    max_message_chars: Count = Field(
        default=200_000,
        description="Maximum length of a text of the native API or of an embeddings call, in characters.",
    )
    max_answer_chars: Count = Field(
        default=1_000_000,
        description="Maximum length of an answer, in characters; a longer one is cut and ends as `incomplete`.",
    )
    max_body_bytes: Count = Field(
        default=2 * 1024 * 1024,
        description="Maximum size of a request body, without the images and files in it; a larger one gets 413.",
    )
    max_body_files_bytes: Annotated[int, Field(ge=0)] = Field(
        default=32 * 1024 * 1024,
        description="Maximum size of the images, files and audio in a request body, in base64: a file of 24 MiB has "
        "32 MiB. Beyond it, the body gets 413.",
    )
    max_bodies_bytes: Count = Field(
        default=256 * 1024 * 1024,
        description="Maximum size of all large request bodies that a web process holds; further ones get 503.",
    )
    body_seconds: Seconds = Field(default=60, description="Maximum time to receive a JSON body; a slower one gets 408.")
    max_queued: Count = Field(default=100_000, description="Maximum number of queued jobs; further submits get 429.")
    max_queued_bytes: Count = Field(
        default=1024 * 1024 * 1024,
        description="Maximum size of the requests of all jobs that have not ended; further submits get 429. "
        "A larger request is never accepted.",
    )
    max_memory_percent: Annotated[float, Field(gt=0, le=100)] = Field(
        default=85, description="Percentage of Redis' maxmemory above which submits get 429."
    )
    client_wait_seconds: Annotated[float, Field(gt=0, le=3_600)] = Field(
        default=590,
        description="How long a /v1 call that is neither streamed nor in the background waits before it gets 504.",
    )
    response_hold_seconds: Annotated[float, Field(ge=0, le=15)] = Field(
        default=0.2,
        description="How long the stream of a /v1 response that is not in the background waits for its first output. "
        "An error in that time gets its own HTTP status; a later one is the event response.failed.",
    )
    resend_window_seconds: Annotated[int, Field(ge=0, le=86_400)] = Field(
        default=1_800,
        description="How long a retry by the openai client finds the job of its first attempt. 0: never.",
    )
    sync_wait_seconds: Seconds = Field(
        default=60, le=600, description="How long a sync chat waits for its answer before it gets 202 with the id."
    )

    # How a job runs
    durability: Annotated[str, Field(pattern=r"^(auto|process|disk|replicas=[1-9])$")] = Field(
        default="auto",
        description="Where a write must be before it counts as accepted: `process` (the memory of Redis), `disk` "
        "(its append-only file, synced), or on `replicas=N` (N replicas). auto: one replica where Redis has any. "
        "Otherwise submits get 503.",
    )
    worker_concurrency: Annotated[int, Field(ge=1, le=100_000)] = Field(
        default=500, description="Concurrent calls per worker process (asyncio pool)."
    )
    worker_threads: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=100, description="Concurrent calls per worker process with `-P threads`."
    )
    ready_ahead: Annotated[int, Field(ge=0, le=1_000)] | None = Field(
        default=None,
        description="Number of jobs that wait in Celery's list beyond the free slots. 0: who is next is decided at the "
        "last moment, and a worker waits one round trip for it. Not set: a tenth of all slots, from 1 to 16.",
    )
    batch_share: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.1,
        description="Share of the starts that jobs of the batch lane get while interactive jobs wait. "
        "0: they start only when no interactive job waits.",
    )
    provider_api: ProviderApi = Field(
        default="auto",
        description="API of the provider: responses, or chat (only /chat/completions). auto: each worker detects it.",
    )
    provider_requests_per_minute: Count | None = Field(
        default=None, description="Maximum number of calls to the provider per minute, all models together."
    )
    provider_tokens_per_minute: Count | None = Field(
        default=None, description="Maximum number of tokens per minute at the provider, all models together."
    )
    provider_concurrency: Count | None = Field(
        default=None, description="Maximum number of concurrent calls to the provider, all models together."
    )
    provider_token_count: TokenCount = Field(
        default="reserved",
        description="How the provider counts tokens: `reserved` (input and maximum output, when it accepts a call), or "
        "`used` (what a call has used, when it ends).",
    )
    provider_streams: bool = Field(
        default=True,
        description="Whether answers are requested as streams. A model that refuses to stream is asked for the whole "
        "answer in any case.",
    )
    lease_seconds: Seconds = Field(
        default=15, description="Time without a heartbeat after which other workers take over a worker's jobs."
    )
    heartbeat_seconds: Seconds = Field(default=4, description="Interval at which a worker renews its leases.")
    grace_seconds: Seconds = Field(default=30, description="How long a stopping worker waits for its running jobs.")
    max_attempts: Count = Field(default=4, le=50, description="Maximum number of attempts that may end with an error.")
    max_worker_losses: Count = Field(
        default=10, le=100, description="Maximum number of attempts that may end with a lost worker."
    )
    quarantine_after_worker_losses: Count = Field(
        default=2, description="Number of lost workers from which a job runs in quarantine, alone in its own process."
    )
    quarantine_processes: Count = Field(
        default=16,
        description="Maximum number of quarantine processes per worker; a job that waits for one keeps its slot.",
    )
    deadline_seconds: Seconds = Field(
        default=86_400, le=604_800, description="Maximum time from submit to end, waiting and retries included."
    )
    backoff_base_seconds: Seconds = Field(
        default=1, description="First wait between attempts; doubles each time, with jitter."
    )
    backoff_cap_seconds: Seconds = Field(
        default=60, description="Maximum wait between attempts, unless Retry-After is longer."
    )
    retry_after_cap_seconds: Seconds = Field(
        default=600,
        description="Maximum Retry-After that is honoured. A longer one is cut to it, or fails the job if no fault of "
        "the provider explains it.",
    )
    provider_connect_seconds: Seconds = Field(default=5, description="Timeout for connecting to the provider.")
    provider_first_token_seconds: Seconds = Field(default=120, description="Maximum wait for the first token.")
    provider_idle_seconds: Seconds = Field(default=60, description="Maximum time between two tokens.")
    provider_total_seconds: Seconds = Field(default=600, description="Maximum duration of one call to the provider.")
    append_interval_seconds: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.03, description="Tokens that arrive within this time are written to the event log together."
    )

    # Documents
    documents_url: ObjectStoreUrl | None = Field(
        default=None,
        description="Object store for documents, chunks and vectors: s3://bucket/path, gs:// or abfss://. "
        "Not set: a folder in CHATQUEUE_DATA_DIR.",
    )
    document_max_bytes: Count = Field(
        default=50 * 1024 * 1024, description="Maximum size of a document; a larger one gets 413."
    )
    documents_max_bytes: Count = Field(
        default=10 * 1024 * 1024 * 1024, description="Maximum size of all documents together; further uploads get 507."
    )
    document_upload_seconds: Seconds = Field(
        default=600, description="Maximum duration of an upload; a longer one gets 400."
    )
    document_max_pages: Count = Field(default=2_000, description="Maximum number of pages of a document.")
    document_max_chars: Count = Field(
        default=10_000_000,
        description="Maximum number of characters of a document's text; 10 million are about 3,000 printed pages.",
    )
    document_read_concurrency: Count = Field(
        default=2, description="Documents that a worker process reads concurrently."
    )
    document_read_seconds: Seconds = Field(default=120, description="Maximum time to extract the text of a document.")
    document_memory_bytes: Annotated[int, Field(ge=256 * 1024 * 1024)] = Field(
        default=1024 * 1024 * 1024, description="Memory limit of the process that reads a document."
    )
    document_chunk_tokens: Annotated[int, Field(ge=50, le=2_000)] = Field(
        default=200, description="Maximum length of a chunk, in approximate tokens."
    )
    document_chunk_overlap: Annotated[int, Field(ge=0)] = Field(
        default=40, description="Overlap of consecutive chunks, in approximate tokens."
    )
    document_context_tokens: Count = Field(
        default=2_000, description="Maximum length of all chunks in a prompt, in approximate tokens."
    )
    document_whole_tokens: Count = Field(
        default=8_000,
        description="Maximum length of chosen documents that are given to the model whole, for a summary or where no "
        "chunk matches, in approximate tokens. Longer documents are sampled within it.",
    )
    document_min_similarity: Annotated[float, Field(ge=0, le=2)] | None = Field(
        default=None,
        description="Minimum cosine similarity of a chunk to a question. Not set: measured for the embedding model. "
        "Above 1: only keyword matches count.",
    )

    # How long things are kept
    result_ttl_seconds: Count = Field(
        default=86_400, description="How long record and answer are kept after the job has ended."
    )
    large_request_ttl_seconds: Count = Field(
        default=3_600,
        description="How long a request of more than 1 MiB, such as one with images, is kept after the job has ended. "
        "Then the job can no longer be retried or continued; its answer is kept.",
    )
    unstored_ttl_seconds: Count = Field(
        default=300, description="How long a response with `store: false` is kept after it has ended."
    )
    events_ttl_seconds: Count = Field(
        default=3_600,
        description="How long the event log is kept after the job has ended. Not longer than its answer. "
        "The log of a /v1 job is kept as long as its answer.",
    )
    idempotency_ttl_seconds: Count = Field(
        default=86_400,
        description="How long an Idempotency-Key is valid after its first use. Not longer than its job.",
    )

    # How long Redis may take
    redis_connect_seconds: Seconds = Field(default=1, description="Timeout for connecting to Redis.")
    redis_timeout_seconds: Seconds = Field(default=2, description="Timeout for one call to Redis.")

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
