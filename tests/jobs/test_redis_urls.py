"""One URL of a Redis, as redis-py, kombu and Celery's result backend each take it."""

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
def test_a_server_is_spelt_for_redis_py_and_for_celery(url, server, broker):
    """Options travel beside the URL: kombu fails on one that it does not know."""
    assert read(url).server_url == server
    assert for_broker(url, 1).url == for_backend(url, 1).url == broker


def test_sentinels_are_spelt_with_the_masters_name_beside_them():
    """Each with the credentials for kombu, which turns to the next; for the backend the first alone has them."""
    broker, backend = for_broker(TWO_SENTINELS, 1), for_backend(TWO_SENTINELS, 1)

    assert broker.url == "sentinel://me:can%40ary@one:7/3;sentinel://me:can%40ary@two:26379/3"
    assert backend.url == "sentinel://me:can%40ary@one:7/3;sentinel://two:26379/3"
    assert broker.transport_options == backend.transport_options
    assert broker.transport_options["master_name"] == "m"


def test_all_sentinels_together_are_given_the_time_of_one_connect():
    """A dead one is met by every new client: three of them must not cost three times the wait."""
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
def test_tls_checks_the_certificate_unless_told(options, cert_reqs):
    """kombu's own default for rediss:// is to check nothing, Celery's to refuse."""
    url = f"rediss://h{options}"

    assert [spelt.tls["ssl_cert_reqs"] for spelt in (read(url), for_broker(url, 1), for_backend(url, 1))] == (
        [cert_reqs] * 3
    )


def test_tls_options_have_their_types():
    tls = read("rediss://h?ssl_check_hostname=false&ssl_min_version=771").tls

    assert (tls["ssl_check_hostname"], tls["ssl_min_version"]) == (False, 771)


@pytest.mark.parametrize("url", ["amqp://me:pw@h//;amqp://two", "amqps://h", "memory://"])
def test_another_broker_stays_as_it_is(url):
    spelt = for_broker(url, 1)

    assert (spelt.url, spelt.tls, spelt.transport_options) == (url, None, {})


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
def test_what_cannot_be_read_is_told_without_a_part_of_it(url, expected):
    """Any part may be the password; nor does TLS that was asked for quietly become none."""
    with pytest.raises(InvalidRedisUrl) as refused:
        read(url)

    assert expected in str(refused.value)
    assert "canary" not in "".join(traceback.format_exception(refused.value))


@pytest.mark.parametrize(
    "url", ["redis://me:canary@h", "rediss://:canary@h", TWO_SENTINELS.replace("can%40ary", "canary")]
)
def test_no_password_in_what_celery_shows(url):
    """Its banner and `inspect conf`, as Celery masks them; and no repr of ours."""
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
def test_two_urls_name_one_server_when_they_lead_to_the_same_database(url, other, is_one):
    """Bells are pushed with the record only where the worker will look for them."""
    assert is_same_database(url, other) is is_one
