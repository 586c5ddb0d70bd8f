"""The health report names the broker, and does not wait for it."""

import socket

import pytest

from api import create_app
from api.services import services_of
from jobs.settings import Settings
from tests.support.processes import free_port


def health(redis_url, broker_port):
    """The report of an app with RabbitMQ at that port as the broker."""
    broker_url = f"amqp://guest:guest@127.0.0.1:{broker_port}//"
    app = create_app(Settings(REDIS_URL=redis_url, CELERY_BROKER_URL=broker_url))
    response = app.test_client().get("/health")
    services_of(app).close()
    assert response.status_code == 200
    return response.json


def test_redis_as_the_broker_is_reported_as_the_record_store(api_client):
    """There is no second server whose state matters."""
    assert api_client.get("/health").json["broker"] == {"state": "record_store"}


@pytest.mark.parametrize("broker_is", ["silent", "refusing"])
def test_a_broker_that_cannot_be_reached_degrades_the_service(broker_is, redis_client, redis_url):
    """Requests are accepted and wait, so the answer is no 503. It comes while the broker is still silent."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1] if broker_is == "silent" else free_port()
        report = health(redis_url, port)

    assert (report["status"], report["broker"]) == ("degraded", {"state": "unreachable"})


@pytest.mark.parametrize(
    ("option", "unsafe", "safe", "advice"),
    [
        ("maxmemory-policy", "allkeys-lru", "noeviction", "set maxmemory-policy noeviction"),
        ("appendonly", "no", "yes", "set appendonly yes"),
    ],
)
def test_a_redis_that_can_lose_jobs_degrades_the_service(api_client, fake_worker, option, unsafe, safe, advice):
    """The promises rest on a foreign server's settings, and nobody reads its log: the reason names the setting."""
    fake_worker.heartbeat()
    redis_client = services_of(api_client.application).store._client
    redis_client.config_set(option, unsafe)
    try:
        report = api_client.get("/health").json
    finally:
        redis_client.config_set(option, safe)

    assert report["status"] == "degraded"
    assert advice in report["reason"]
    assert api_client.get("/health").json["status"] == "ok"
