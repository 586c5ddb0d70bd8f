"""The settings: invalid values are refused by name, and secrets stay secret."""

import pytest
from pydantic import ValidationError

from jobs.settings import Settings


@pytest.mark.parametrize(
    ("environment", "name_in_error"),
    [
        ({"REDIS_URL": "http://here"}, "REDIS_URL"),
        ({"OPENAI_BASE_URL": "localhost:1234"}, "OPENAI_BASE_URL"),
        ({"CHATQUEUE_WEB_PORT": "70000"}, "web_port"),
        ({"CHATQUEUE_LEASE_SECONDS": "5"}, "CHATQUEUE_HEARTBEAT_SECONDS"),
        ({"CHATQUEUE_PROVIDER_IDLE_SECONDS": "1000"}, "CHATQUEUE_PROVIDER_IDLE_SECONDS"),
        ({"CHATQUEUE_EVENTS_TTL_SECONDS": "90000"}, "CHATQUEUE_EVENTS_TTL_SECONDS"),
        ({"CHATQUEUE_LOG_LEVEL": "LOUD"}, "log_level"),
        ({"CHATQUEUE_OCR_LANGUAGES": "eng, deu"}, "ocr_languages"),
        ({"CHATQUEUE_GRACE_SECONDS": "inf"}, "grace_seconds"),
        ({"CHATQUEUE_LEASE_SECONDS": "inf"}, "lease_seconds"),
        ({"CHATQUEUE_LEASE_SECONDS": "nan"}, "lease_seconds"),
        ({"CHATQUEUE_WORKER_CONCURRENCY": "1000000000"}, "worker_concurrency"),
        ({"CHATQUEUE_WEB_WORKERS": "100000"}, "web_workers"),
        ({"CELERY_BROKER_URL": "https://x"}, "CELERY_BROKER_URL"),
        ({"CELERY_BROKER_URL": "nonsense"}, "CELERY_BROKER_URL"),
        ({"OPENAI_API_KEY": "sk-a\nb"}, "OPENAI_API_KEY"),
        ({"REDIS_URL": "redis://h/zero"}, "REDIS_URL"),
        ({"REDIS_URL": "redis://h/1/2"}, "REDIS_URL"),
        ({"REDIS_URL": "redis://h:port/0"}, "REDIS_URL"),
        ({"REDIS_URL": "sentinel://h:26379/0"}, "REDIS_URL"),
        ({"REDIS_URL": "redis://h?ssl_ca_certs=/a"}, "REDIS_URL"),
        ({"REDIS_URL": "rediss://h?ssl_cert_reqs=maybe"}, "REDIS_URL"),
        ({"REDIS_URL": "redis://:a:b@h:70000"}, "REDIS_URL"),
        ({"REDIS_URL": "unix:///run/redis.sock?db=zero"}, "REDIS_URL"),
        ({"CELERY_BROKER_URL": "rediss://h:1/-1"}, "CELERY_BROKER_URL"),
        ({"OPENAI_BASE_URL": "http://"}, "OPENAI_BASE_URL"),
        ({"OPENAI_BASE_URL": "https:///v1"}, "OPENAI_BASE_URL"),
        ({"OPENAI_BASE_URL": "http://h:port/v1"}, "OPENAI_BASE_URL"),
        ({"OPENAI_BASE_URL": "http://h/v1 "}, "OPENAI_BASE_URL"),
        ({"CHATQUEUE_CHAT_MODEL": " "}, "chat_model"),
        ({"CHATQUEUE_EMBEDDING_MODEL": "a\nb"}, "embedding_model"),
        ({"SCRIPT_NAME": "llm"}, "SCRIPT_NAME"),
        ({"FORWARDED_ALLOW_IPS": "proxy"}, "FORWARDED_ALLOW_IPS"),
        ({"CHATQUEUE_ALLOWED_HOSTS": "http://a.example"}, "allowed_hosts"),
        ({"CHATQUEUE_CORS_ORIGINS": "*"}, "cors_origins"),
    ],
)
def test_a_bad_value_is_refused_by_name(monkeypatch, environment, name_in_error):
    """The error names the variable, so that an operator can find it without reading code."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(ValidationError, match=name_in_error):
        Settings()


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"LEASE_SECONDS": "3"}, ["HEARTBEAT_SECONDS", "LEASE_SECONDS"]),
        ({"HEARTBEAT_SECONDS": "20"}, ["HEARTBEAT_SECONDS", "LEASE_SECONDS"]),
        ({"REDIS_TIMEOUT_SECONDS": "11"}, ["REDIS_TIMEOUT_SECONDS", "LEASE_SECONDS", "HEARTBEAT_SECONDS"]),
        ({"REDIS_CONNECT_SECONDS": "11"}, ["REDIS_CONNECT_SECONDS", "LEASE_SECONDS", "HEARTBEAT_SECONDS"]),
        ({"IDEMPOTENCY_TTL_SECONDS": "90000"}, ["IDEMPOTENCY_TTL_SECONDS", "RESULT_TTL_SECONDS"]),
        ({"PROVIDER_FIRST_TOKEN_SECONDS": "601"}, ["PROVIDER_FIRST_TOKEN_SECONDS", "PROVIDER_TOTAL_SECONDS"]),
        ({"PROVIDER_CONNECT_SECONDS": "601"}, ["PROVIDER_CONNECT_SECONDS", "PROVIDER_TOTAL_SECONDS"]),
        ({"MAX_BODY_BYTES": "3000", "MAX_BODIES_BYTES": "2000"}, ["MAX_BODY_BYTES", "MAX_BODIES_BYTES"]),
        ({"MAX_BODY_BYTES": "3000", "MAX_QUEUED_BYTES": "2000"}, ["MAX_BODY_BYTES", "MAX_QUEUED_BYTES"]),
        ({"DOCUMENT_MAX_BYTES": "3000", "DOCUMENTS_MAX_BYTES": "2000"}, ["DOCUMENT_MAX_BYTES", "DOCUMENTS_MAX_BYTES"]),
        ({"BACKOFF_BASE_SECONDS": "61"}, ["BACKOFF_BASE_SECONDS", "BACKOFF_CAP_SECONDS"]),
        ({"MAX_WORKER_LOSSES": "2"}, ["QUARANTINE_AFTER_WORKER_LOSSES", "MAX_WORKER_LOSSES"]),
    ],
)
def test_settings_that_contradict_each_other_are_refused_with_all_names(monkeypatch, environment, named):
    """Each value is fine alone. Together they would cost every lease, or no request would be accepted."""
    for name, value in environment.items():
        monkeypatch.setenv(f"CHATQUEUE_{name}", value)

    with pytest.raises(ValidationError) as refused:
        Settings()
    assert all(f"CHATQUEUE_{name}" in str(refused.value) for name in named)


@pytest.mark.parametrize(
    ("changed", "value", "following"),
    [
        ("RESULT_TTL_SECONDS", "600", ["idempotency_ttl_seconds", "events_ttl_seconds"]),
        ("PROVIDER_TOTAL_SECONDS", "3", ["provider_idle_seconds", "provider_first_token_seconds"]),
        ("BACKOFF_CAP_SECONDS", "0.5", ["backoff_base_seconds"]),
    ],
)
def test_a_default_follows_the_setting_that_it_must_not_exceed(monkeypatch, changed, value, following):
    """Who changes one setting need not know the others. A value that is set is never changed."""
    monkeypatch.setenv(f"CHATQUEUE_{changed}", value)
    settings = Settings()
    assert [getattr(settings, name) for name in following] == [float(value)] * len(following)

    monkeypatch.setenv(f"CHATQUEUE_{following[0].upper()}", str(int(float(value)) + 1))
    with pytest.raises(ValidationError, match=changed):
        Settings()


def test_a_blank_variable_counts_as_not_set(monkeypatch):
    """`OPENAI_API_KEY=` in a file is not a key."""
    monkeypatch.setenv("OPENAI_API_KEY", "")
    monkeypatch.setenv("OPENAI_BASE_URL", "")
    monkeypatch.setenv("REDIS_URL", "")

    assert Settings().has_offline_model
    assert Settings().has_embedded_redis


def test_no_repr_and_no_error_shows_a_secret(monkeypatch):
    """Neither a repr of the settings nor a validation error contains a key or a password."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    monkeypatch.setenv("REDIS_URL", "redis://:pa55-canary@127.0.0.1:1/0")
    assert "canary" not in repr(Settings()) + str(Settings())

    monkeypatch.setenv("REDIS_URL", "gopher://:pa55-canary@127.0.0.1:1/0")
    with pytest.raises(ValidationError) as refused:
        Settings()
    assert "canary" not in str(refused.value)


def test_one_redis_is_record_store_and_broker_by_default():
    """Without CELERY_BROKER_URL messages are written to the Redis of the records, in one script."""
    assert Settings(REDIS_URL="redis://r/0").broker_is_record_store
    assert not Settings(REDIS_URL="redis://r/0", CELERY_BROKER_URL="amqp://b").broker_is_record_store


def test_spelling_that_most_tools_accept_is_accepted(monkeypatch):
    """A mounted secret ends with a line break, and a level in lower case is common."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-a\n")
    monkeypatch.setenv("CHATQUEUE_LOG_LEVEL", "info")
    settings = Settings()

    assert settings.log_level == "INFO"
    assert settings.openai_api_key is not None
    assert settings.openai_api_key.get_secret_value() == "sk-a"
