"""The one settings class: every value that a deployment may change, validated and cross-checked once.

Sources, the first that has a value wins: the environment, ``.env.local`` (secrets, not in git), ``.env``
(committed defaults). A variable that is set but blank counts as not set. Secrets are ``SecretStr``: no repr
or log shows them.
"""

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from jobs.redis_urls import REDIS_SCHEMES, is_same_database

PROJECT_ROOT = Path(__file__).resolve().parent.parent
OFFLINE_API_KEY = "offline"
_OFFLINE_EMBEDDINGS = "offline-words"
_UNREACHABLE_SIMILARITY = 2.0  # above any cosine
OBJECT_STORE_SCHEMES = ("s3://", "gs://", "abfss://", "file://")

_AT_MOST = "not exceed"
_BELOW = "be below"
_ORDERED_PAIRS = (  # of two settings each, and why, where it is not plain
    ("provider_idle_seconds", _AT_MOST, "provider_total_seconds", ""),
    ("provider_first_token_seconds", _AT_MOST, "provider_total_seconds", ""),
    ("quarantine_after_worker_losses", _BELOW, "max_worker_losses", ": nobody would get there"),
    ("backoff_base_seconds", _AT_MOST, "backoff_cap_seconds", ""),
    ("document_chunk_overlap", _BELOW, "document_chunk_tokens", ""),
    ("document_chunk_tokens", _BELOW, "document_context_tokens", ": it has room for more than one chunk"),
    ("events_ttl_seconds", _AT_MOST, "result_ttl_seconds", ": an event log never outlives its answer"),
    (
        "idempotency_ttl_seconds",
        _AT_MOST,
        "result_ttl_seconds",
        ": a repeated key must not lead to a job that is forgotten",
    ),
)

Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class Settings(BaseSettings):
    """All durations are in seconds, all sizes in bytes unless the name says otherwise."""

    model_config = SettingsConfigDict(
        env_file=(PROJECT_ROOT / ".env", PROJECT_ROOT / ".env.local"),
        env_prefix="CHATQUEUE_",
        env_ignore_empty=True,
        populate_by_name=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    # Where things are
    redis_url: SecretStr | None = Field(
        default=None,
        validation_alias="REDIS_URL",
        description="Records, results and (unless CELERY_BROKER_URL is set) the broker. "
        "redis://, rediss://, unix:// or sentinel://. Not set: `make up` starts an embedded server.",
    )
    celery_broker_url: SecretStr | None = Field(
        default=None,
        validation_alias="CELERY_BROKER_URL",
        description="Another broker for the messages: amqp://, or as REDIS_URL. Not set: REDIS_URL.",
    )
    openai_api_key: SecretStr | None = Field(
        default=None, validation_alias="OPENAI_API_KEY", description="The provider's key."
    )
    openai_base_url: str | None = Field(
        default=None,
        validation_alias="OPENAI_BASE_URL",
        description="An OpenAI-compatible server. Not set and a key set: OpenAI. Neither: the offline model.",
    )
    web_host: str = Field(default="127.0.0.1", description="Address of the web process.")
    web_port: Port = Field(default=5000, description="Port of the web process.")
    web_workers: Count = Field(default=2, description="Web processes under gunicorn.")
    flower_port: Port = Field(default=5555, description="Port of Flower, on 127.0.0.1.")
    embedded_redis_port: Port = Field(default=6390, description="Port of the embedded server, on 127.0.0.1.")
    offline_model_port: Port = Field(default=6391, description="Port of the offline model, on 127.0.0.1.")
    data_dir: Path = Field(
        default=PROJECT_ROOT / "data", description="Where the embedded server and documents keep their files."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(default="INFO", description="Log level.")

    # What is accepted
    chat_model: str = Field(default="gpt-5-mini", description="Model when a chat request names none.")
    embedding_model: str = Field(
        default="text-embedding-3-small", description="Model when an embeddings request names none."
    )
    max_message_chars: Count = Field(default=200_000, description="Longest message, system text or input.")
    max_answer_chars: Count = Field(
        default=1_000_000, description="Longest answer; a longer one is cut there and ends `incomplete`."
    )
    max_body_bytes: Count = Field(default=2 * 1024 * 1024, description="Largest request body; above: 413.")
    max_queued: Count = Field(default=100_000, description="Jobs that may wait at once; above: 429.")
    max_memory_percent: Annotated[float, Field(gt=0, le=100)] = Field(
        default=85, description="Share of Redis' maxmemory above which submits are answered 429."
    )
    client_wait_seconds: Annotated[float, Field(gt=0, le=3_600)] = Field(
        default=590,
        description="How long a /v1 call waits that is neither streamed nor in the background; then: 504.",
    )
    resend_window_seconds: Annotated[int, Field(ge=0, le=86_400)] = Field(
        default=1_800,
        description="How long what an openai client sends again leads to the job of its first try. 0: never.",
    )
    sync_wait_seconds: Seconds = Field(
        default=60, le=600, description="How long a sync chat waits before it answers 202 with the id."
    )

    # How a job is seen through
    worker_concurrency: Count = Field(
        default=500, description="Calls in flight on one worker process of the asyncio pool."
    )
    worker_threads: Count = Field(default=100, description="The same for `-P threads`.")
    provider_api: Literal["auto", "responses", "chat"] = Field(
        default="auto",
        description="What the provider speaks: /responses, or /chat/completions alone. auto: each worker finds out.",
    )
    lease_seconds: Seconds = Field(
        default=15, description="How long a silent worker keeps its jobs before they run elsewhere."
    )
    heartbeat_seconds: Seconds = Field(default=4, description="How often a worker renews its leases.")
    grace_seconds: Seconds = Field(default=30, description="How long a stopping worker lets its running jobs finish.")
    max_attempts: Count = Field(
        default=4, le=50, description="Attempts that may fail with an error before the job does."
    )
    max_worker_losses: Count = Field(
        default=10, le=100, description="Attempts that may end with a dead worker before the job fails."
    )
    quarantine_after_worker_losses: Count = Field(
        default=2, description="From this many on, a job runs alone in a process of its own."
    )
    quarantine_processes: Count = Field(
        default=16, description="Such processes of one worker at once; a job that waits for one keeps its slot."
    )
    deadline_seconds: Seconds = Field(
        default=86_400, le=604_800, description="Time from submit to the end, waiting and retries included."
    )
    backoff_base_seconds: Seconds = Field(
        default=1, description="First wait before another attempt; doubles each time, with jitter."
    )
    backoff_cap_seconds: Seconds = Field(default=60, description="Longest such wait, unless Retry-After says more.")
    retry_after_cap_seconds: Seconds = Field(default=600, description="A Retry-After beyond this ends the job instead.")
    provider_connect_seconds: Seconds = Field(default=5, description="Time to connect to the provider.")
    provider_first_token_seconds: Seconds = Field(default=120, description="Longest wait for the first token.")
    provider_idle_seconds: Seconds = Field(default=60, description="Longest silence between two tokens.")
    provider_total_seconds: Seconds = Field(default=600, description="Longest single call to the provider.")
    append_interval_seconds: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.03, description="Tokens that come within this time are written to the event log together."
    )

    # Documents
    documents_url: str | None = Field(
        default=None,
        description="Object store for documents, chunks and vectors: s3://bucket/path, gs:// or abfss://. "
        "Not set: a folder in CHATQUEUE_DATA_DIR.",
    )
    document_max_bytes: Count = Field(default=50 * 1024 * 1024, description="Largest document; above: 413.")
    document_upload_seconds: Seconds = Field(default=600, description="Longest time of one upload; then: 400.")
    document_max_pages: Count = Field(default=2_000, description="Most pages of a document.")
    document_read_concurrency: Count = Field(default=2, description="Documents that one worker process reads at once.")
    document_read_seconds: Seconds = Field(default=120, description="Longest time to read a document's text.")
    document_memory_bytes: Annotated[int, Field(ge=256 * 1024 * 1024)] = Field(
        default=1024 * 1024 * 1024, description="Memory of the process that reads a document."
    )
    document_chunk_tokens: Annotated[int, Field(ge=50, le=2_000)] = Field(
        default=200, description="Longest chunk of a document, in approximate tokens."
    )
    document_chunk_overlap: Annotated[int, Field(ge=0)] = Field(
        default=40, description="How much of a chunk its successor repeats, in approximate tokens."
    )
    document_context_tokens: Count = Field(
        default=2_000, description="Share of a prompt for the chunks that an answer rests on."
    )
    document_min_similarity: Annotated[float, Field(ge=0, le=2)] = Field(
        default=0.4,
        description="Cosine from which on a chunk fits a question; depends on the embedding model. "
        "Above 1: words alone count.",
    )

    # How long things are kept
    result_ttl_seconds: Count = Field(default=86_400, description="Record and answer, after the job has ended.")
    unstored_ttl_seconds: Count = Field(
        default=300, description="Record and answer of a response with `store: false`, after it has ended."
    )
    events_ttl_seconds: Count = Field(
        default=3_600, description="Event log, after the job has ended; that of a /v1 call lives as its answer."
    )
    idempotency_ttl_seconds: Count = Field(default=86_400, description="An Idempotency-Key, after its first use.")

    # How long Redis may take
    redis_connect_seconds: Seconds = Field(default=1, description="Time to connect to Redis.")
    redis_timeout_seconds: Seconds = Field(default=2, description="Time for Redis to answer one call.")

    @field_validator("redis_url")
    @classmethod
    def _redis_scheme(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not url.get_secret_value().startswith(REDIS_SCHEMES):
            raise ValueError(f"must start with one of {', '.join(REDIS_SCHEMES)}")
        return url

    @field_validator("openai_base_url")
    @classmethod
    def _http_scheme(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(("http://", "https://")):
            raise ValueError("must start with http:// or https://")
        return url

    @field_validator("documents_url")
    @classmethod
    def _object_store_scheme(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(OBJECT_STORE_SCHEMES):
            raise ValueError(f"must start with one of {', '.join(OBJECT_STORE_SCHEMES)}")
        return url

    @model_validator(mode="after")
    def _cross_check(self) -> Self:
        if self.heartbeat_seconds * 3 > self.lease_seconds:
            raise ValueError(
                "CHATQUEUE_HEARTBEAT_SECONDS must be at most a third of CHATQUEUE_LEASE_SECONDS: "
                "two lost heartbeats must not cost a lease"
            )
        if self.redis_timeout_seconds >= self.lease_seconds - self.heartbeat_seconds:
            raise ValueError("CHATQUEUE_REDIS_TIMEOUT_SECONDS must be shorter than the lease less a heartbeat")
        for lesser, relation, greater, why in _ORDERED_PAIRS:
            small, large = getattr(self, lesser), getattr(self, greater)
            if small > large or (small == large and relation == _BELOW):
                names = (f"CHATQUEUE_{name.upper()}" for name in (lesser, greater))
                raise ValueError(f" must {relation} ".join(names) + why)
        return self

    @property
    def has_embedded_redis(self) -> bool:
        """True when no REDIS_URL is given, so `make up` starts a server of its own."""
        return self.redis_url is None

    @property
    def has_offline_model(self) -> bool:
        """True when neither a key nor a base URL is given, so `make up` starts the offline model."""
        return self.openai_api_key is None and self.openai_base_url is None

    @property
    def record_url(self) -> SecretStr:
        """The Redis that holds records, event logs and answers."""
        return self.redis_url or SecretStr(f"redis://127.0.0.1:{self.embedded_redis_port}/0")

    @property
    def broker_url(self) -> SecretStr:
        return self.celery_broker_url or self.record_url

    @property
    def broker_is_record_store(self) -> bool:
        """True when messages and records share one database of one Redis, so one script can write both."""
        return is_same_database(self.broker_url.get_secret_value(), self.record_url.get_secret_value())

    @property
    def provider_base_url(self) -> str | None:
        """None: the SDK's own default, OpenAI."""
        if self.has_offline_model:
            return f"http://127.0.0.1:{self.offline_model_port}/v1"
        return self.openai_base_url

    @property
    def document_embedding_model(self) -> str:
        """Whose vectors a document's chunks have; those of the offline model must never pass for a real one's."""
        return _OFFLINE_EMBEDDINGS if self.has_offline_model else self.embedding_model

    @property
    def effective_min_similarity(self) -> float:
        """Nearness of the offline model's hashed words says nothing of meaning: never near enough."""
        return _UNREACHABLE_SIMILARITY if self.has_offline_model else self.document_min_similarity

    @property
    def provider_api_key(self) -> SecretStr:
        return self.openai_api_key or SecretStr(OFFLINE_API_KEY)


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The settings of this process, read at the first call.

    Raises pydantic.ValidationError when a value is missing, malformed or contradicts another.
    """
    return Settings()
