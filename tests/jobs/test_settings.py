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
        ({"CHATQUEUE_GRACE_SECONDS": "inf"}, "grace_seconds"),
        ({"CHATQUEUE_LEASE_SECONDS": "inf"}, "lease_seconds"),
        ({"CHATQUEUE_LEASE_SECONDS": "nan"}, "lease_seconds"),
        ({"CHATQUEUE_WORKER_CONCURRENCY": "1000000000"}, "worker_concurrency"),
        ({"CHATQUEUE_WEB_WORKERS": "100000"}, "web_workers"),
        ({"CELERY_BROKER_URL": "https://x"}, "CELERY_BROKER_URL"),
        ({"CELERY_BROKER_URL": "nonsense"}, "CELERY_BROKER_URL"),
        ({"OPENAI_API_KEY": "sk-a\nb"}, "OPENAI_API_KEY"),
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
