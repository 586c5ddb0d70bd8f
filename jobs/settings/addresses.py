"""Where things are: Redis, the provider, the web process, files."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, Field

from guards.logs import LogFormat
from jobs.folders import DATA_FOLDER
from jobs.http_url import HttpUrl
from jobs.settings.types import (
    ApiKey,
    BrokerUrl,
    ForwarderAddresses,
    HostNames,
    Origins,
    PathPrefix,
    Port,
    RedisStoreUrl,
)


class AddressSettings(BaseModel):
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
    web_grace_seconds: Annotated[float, Field(ge=0, le=3_600)] = Field(
        default=8,
        description="How long a stopping web process waits for its streams and long polls. `make up` sets 0, unless it "
        "is set.",
    )
    flower_port: Port = Field(default=5555, description="Port of Flower, on 127.0.0.1.")
    embedded_redis_port: Port = Field(default=6390, description="Port of the embedded Redis server, on 127.0.0.1.")
    offline_model_port: Port = Field(default=6391, description="Port of the offline model, on 127.0.0.1.")
    embedded_redis_max_bytes: Annotated[int, Field(ge=16 * 1024 * 1024)] | None = Field(
        default=None,
        description="Maximum memory of the embedded Redis server. Not set: a quarter of the machine's memory.",
    )
    metrics: bool = Field(
        default=True,
        description="Whether the web process serves /metrics, in the format of Prometheus. It contains figures and the "
        "names of models and routes.",
    )
    data_dir: Path = Field(
        default=DATA_FOLDER,
        description="Folder of the embedded Redis and of documents. Other users of the machine cannot read it.",
    )
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(str.upper)] = Field(
        default="INFO", description="Log level."
    )
    log_format: Annotated[LogFormat, BeforeValidator(str.lower)] = Field(
        default="text", description="`json`: each log line is a JSON object."
    )
