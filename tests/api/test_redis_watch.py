"""A web process logs what its health checks report, even if nobody asks them."""

import logging

import pytest

from api import create_app
from api.redis_watch import RedisWatch
from api.services import services_of
from jobs.settings import Settings
from tests.support.processes import free_port


@pytest.fixture
def watch_of():
    """The watch of an app with this Redis."""
    apps = []

    def create(url):
        apps.append(create_app(Settings(REDIS_URL=url)))
        return RedisWatch(services_of(apps[-1]))

    yield create
    for app in apps:
        services_of(app).close()


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.INFO)
    return lambda: [record.getMessage() for record in caplog.records]


def test_a_server_that_keeps_nothing_is_logged_once(watch_of, redis_client, redis_url, lines):
    """It is accepted: somebody may want it so."""
    watch = watch_of(redis_url)
    redis_client.config_set("appendonly", "no")
    try:
        assert [watch.look(), watch.look()] == [True, True]
    finally:
        redis_client.config_set("appendonly", "yes")

    (line,) = lines()
    assert line.startswith("redis_config_unsafe hazard=Redis keeps no append-only file")
    watch.look()
    assert lines()[1:] == ["redis_config_safe"]


@pytest.mark.parametrize(
    ("rule", "event", "named"),
    [
        ("-hset", "rights_missing", "the command hset"),
        ("-@scripting", "rights_missing", "the command evalsha"),
        ("-info", "redis_config_unknown", "the command info"),
    ],
)
def test_a_missing_right_is_logged_once(watch_of, redis_client, redis_url, lines, rule, event, named):
    """The process goes on, since the right may be given."""
    redis_client.execute_command("ACL", "SETUSER", "limited", "reset", "on", ">p", "~*", "&*", "+@all", rule)
    watch = watch_of(redis_url.replace("://", "://limited:p@"))
    try:
        assert [watch.look(), watch.look()] == [True, True]
    finally:
        redis_client.execute_command("ACL", "DELUSER", "limited")

    (line,) = lines()
    assert line.startswith(event)
    assert named in line


def test_a_server_that_does_not_answer_is_asked_again_soon(watch_of, lines):
    """Web processes may start before Redis. The outage itself is logged elsewhere."""
    assert not watch_of(f"redis://127.0.0.1:{free_port()}/0").look()
    assert lines() == []
