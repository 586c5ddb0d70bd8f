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


@pytest.fixture
def limited_api(redis_client, redis_url):
    """A client of an app whose Redis user has all rights but these."""
    apps = []

    def create(*rules):
        redis_client.execute_command("ACL", "SETUSER", "limited", "reset", "on", ">p", "~*", "&*", "+@all", *rules)
        apps.append(create_app(Settings(REDIS_URL=redis_url.replace("://", "://limited:p@"))))
        return apps[-1].test_client()

    yield create
    for app in apps:
        services_of(app).close()
    redis_client.execute_command("ACL", "DELUSER", "limited")


@pytest.mark.parametrize("path", ["/health", "/health/ready"])
@pytest.mark.parametrize(
    ("rule", "named"),
    [("-hset", "the command hset"), ("-@scripting", "the command eval"), ("-@all", "the command eval")],
)
def test_a_missing_right_makes_the_service_unavailable_and_is_named(limited_api, caplog, path, rule, named):
    """A submit would fail at its first command, so a load balancer must not send it here."""
    response = limited_api(rule).get(path)

    assert (response.status_code, response.json["error"]["code"]) == (503, "store_unavailable")
    assert named in response.json["detail"]
    assert named in caplog.text


def test_a_web_process_that_may_not_read_the_settings_of_redis_is_degraded(limited_api, fake_worker):
    """It serves requests; only the settings of Redis cannot be judged."""
    fake_worker.heartbeat()
    client = limited_api("-info")

    assert client.get("/health/ready").status_code == 200
    assert client.get("/health").json["status"] == "degraded"
    assert "the command info" in client.get("/health").json["reason"]


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
