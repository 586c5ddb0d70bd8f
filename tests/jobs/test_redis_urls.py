"""One Redis URL in the forms that redis-py, kombu and Celery's result backend accept."""

import traceback

import pytest
from kombu import Connection
from kombu.utils.url import maybe_sanitize_url

from jobs.redis_urls import InvalidRedisUrl, for_backend, for_broker, is_same_database, read

TWO_SENTINELS = "sentinel://me:can%40ary@one:7,two/3?master=m"


@pytest.mark.parametrize(
    ("url", "server", "broker"),
    [
        ("redis://h", "redis://h:6379/0", "redis://h:6379/0"),
        ("redis://me:p%2Fw@h:7/3", "redis://me:p%2Fw@h:7/3", "redis://me:p%2Fw@h:7/3"),
        ("redis://:pw@[::1]:7?client_name=x", "redis://:pw@[::1]:7/0", "redis://:pw@[::1]:7/0"),
        ("rediss://h/1?ssl_ca_certs=/ca.pem", "rediss://h:6379/1", "rediss://h:6379/1"),
        ("unix:///run/a%20b.sock?db=2", "unix:///run/a%20b.sock?db=2", "redis+socket:///run/a%20b.sock?virtual_host=2"),
    ],
)
def test_a_server_url_is_written_for_redis_py_and_for_celery(url, server, broker):
    """Options are passed beside the URL: kombu fails on an option that it does not know."""
    assert read(url).server_url == server
    assert for_broker(url, 1).url == for_backend(url, 1).url == broker


def test_sentinel_urls_are_written_with_the_masters_name_beside_them():
    """kombu needs credentials in every URL, since it uses each; for the backend only the first has them."""
    broker, backend = for_broker(TWO_SENTINELS, 1), for_backend(TWO_SENTINELS, 1)

    assert broker.url == "sentinel://me:can%40ary@one:7/3;sentinel://me:can%40ary@two:26379/3"
    assert backend.url == "sentinel://me:can%40ary@one:7/3;sentinel://two:26379/3"
    assert broker.transport_options == backend.transport_options
    assert broker.transport_options["master_name"] == "m"


def test_all_sentinels_share_the_time_of_one_connect():
    """Every new client tries a dead Sentinel first, so three dead ones must not triple the wait."""
    options = read("sentinel://a,b,c,d?master=m").sentinel_options(1)

    assert (options["socket_connect_timeout"], options["socket_timeout"], options["retry"]) == (0.25, 0.25, None)


@pytest.mark.parametrize(
    ("options", "cert_reqs"),
    [
        ("", "required"),
        ("?ssl_ca_certs=/ca.pem", "required"),
        ("?ssl_cert_reqs=CERT_NONE", "none"),
        ("?ssl_cert_reqs=optional", "optional"),
    ],
)
def test_tls_checks_the_certificate_unless_disabled(options, cert_reqs):
    """For rediss://, kombu's default is not to check certificates, and Celery's is to refuse the URL."""
    url = f"rediss://h{options}"

    assert [parsed.tls["ssl_cert_reqs"] for parsed in (read(url), for_broker(url, 1), for_backend(url, 1))] == (
        [cert_reqs] * 3
    )


def test_tls_options_have_their_types():
    """TLS options of the URL reach redis-py as bool and int, not as text."""
    tls = read("rediss://h?ssl_check_hostname=false&ssl_min_version=771").tls

    assert (tls["ssl_check_hostname"], tls["ssl_min_version"]) == (False, 771)


@pytest.mark.parametrize("url", ["amqp://me:pw@h//;amqp://two", "amqps://h", "memory://"])
def test_the_url_of_another_broker_is_unchanged(url):
    """An AMQP or in-memory URL gets no option and no TLS of ours."""
    celery_url = for_broker(url, 1)

    assert (celery_url.url, celery_url.tls, celery_url.transport_options) == (url, None, {})


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sentinel://:canary@a,b/0", "master=NAME"),
        ("sentinel://a/0?master=", "master=NAME"),
        ("sentinel://a;sentinel://canary/0?master=m", "master=NAME"),
        ("sentinel://a:canary/0?master=m", "master=NAME"),
        ("sentinel://:can@ary@a?master=m", "master=NAME"),
        ("sentinel://a?master=m&ssl_ca_certs=/canary", "no TLS"),
        ("redis://h?ssl_ca_certs=/canary", "rediss://"),
        ("rediss://h?ssl_cert_reqs=canary", "required, optional or none"),
        ("redis://:canary", "%-encoded"),
        ("redis://me:canary/x@h", "%-encoded"),
        ("redis://h?db=canary", "%-encoded"),
    ],
)
def test_an_invalid_url_is_refused_without_quoting_it(url, expected):
    """Any part may be the password. Requested TLS must never be dropped silently."""
    with pytest.raises(InvalidRedisUrl) as refused:
        read(url)

    assert expected in str(refused.value)
    assert "canary" not in "".join(traceback.format_exception(refused.value))


@pytest.mark.parametrize(
    "url", ["redis://me:canary@h", "rediss://:canary@h", TWO_SENTINELS.replace("can%40ary", "canary")]
)
def test_celery_shows_no_password(url):
    """Neither the banner nor `inspect conf`, as Celery masks them, nor a repr of ours contains a password."""
    broker, backend = for_broker(url, 1), for_backend(url, 1)
    shown = [
        Connection(broker.url, transport_options=broker.transport_options, ssl=broker.tls).as_uri(),
        maybe_sanitize_url(backend.url),
        repr([read(url), broker, backend]),
    ]

    assert "canary" not in "".join(shown)


@pytest.mark.parametrize(
    ("url", "other", "is_one"),
    [
        ("redis://h", "redis://me:pw@H:6379/0?client_name=x", True),
        ("redis://h/0", "redis://h/1", False),
        ("redis://h", "redis://h:7", False),
        ("sentinel://a,b/0?master=m", "sentinel://b:26379,a?master=m", True),
        ("sentinel://a,b/0?master=m", "sentinel://a,b/0?master=n", False),
        ("sentinel://a:6379/0?master=m", "redis://a:6379/0", False),
        ("unix:///run/a.sock", "unix:///run/b.sock", False),
        ("redis://h", "amqp://h", False),
    ],
)
def test_different_urls_of_one_database_are_recognised(url, other, is_one):
    """A script may push messages only to the Redis from which the workers take them."""
    assert is_same_database(url, other) is is_one
