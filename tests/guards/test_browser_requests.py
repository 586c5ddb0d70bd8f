"""Which requests a page in a browser may cause: by host, by origin, by site."""

import pytest

from guards.browser_requests import BrowserPolicy, Refusal, is_ip_address, read_names, read_origins

LOCAL = BrowserPolicy.of("127.0.0.1", None, None)
PROXIED = BrowserPolicy.of("0.0.0.0", "chat.example, Other.Example.", "https://page.example")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:5000", "localhost:1", "LOCALHOST", "localhost.", "[::1]", "[::1]:5000"]
)
def test_loopback_names_are_answered_with_any_port(host):
    """The user of a laptop can type any of them."""
    assert LOCAL.refuse_host(host) is None


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:5000", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.1", "[::2]"),
        *("127.0.0.1, evil.example", "127.0.0.1@evil.example", "evil.example#127.0.0.1", "127.0.0.1:5000:1", "a b"),
        *("127.0.0.1:", "[::1", "::1", "127.0.0.1/", "2130706433", "127.1"),
    ],
)
def test_any_other_host_is_refused(host):
    """After DNS rebinding a browser sends the name of the foreign site."""
    assert LOCAL.refuse_host(host) is Refusal.UNKNOWN_HOST


def test_a_missing_host_is_refused():
    """HTTP/1.1 requires it; HTTP/1.0 does not, but then the name is unknown."""
    assert LOCAL.refuse_host(None) is Refusal.NO_HOST
    assert LOCAL.refuse_host("") is Refusal.NO_HOST
    assert LOCAL.refuse_host(None, "HTTP/1.0") is Refusal.UNKNOWN_HOST


def test_an_operator_can_allow_further_names():
    """The address that a server listens on is allowed too, unless it means all addresses."""
    assert PROXIED.refuse_host("chat.example:8443") is None
    assert PROXIED.refuse_host("other.example") is None
    assert PROXIED.refuse_host("0.0.0.0") is Refusal.UNKNOWN_HOST
    assert BrowserPolicy.of("10.1.2.3", None, None).refuse_host("10.1.2.3:80") is None
    assert BrowserPolicy.of("fd00::1", None, None).refuse_host("[fd00::1]:80") is None
    assert BrowserPolicy.of("::", "*", None).refuse_host("any.example") is None


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "UNKNOWN"])
@pytest.mark.parametrize(
    ("origin", "fetch_site"),
    [
        ("http://evil.example", "cross-site"),
        ("http://evil.example", None),
        (None, "cross-site"),
        (None, "same-site"),
        ("null", None),
        ("null", "same-origin"),
        ("http://127.0.0.1:3000", None),  # another program's page on this machine
        ("http://localhost:5000", None),  # not the name that the request is for
        ("http://127.0.0.1:5000, http://evil.example", None),
        ("http://127.0.0.1:5000.evil.example", None),
        ("http://evil.example@127.0.0.1:5000", None),
        ("http://127.0.0.1:5000", "cross-site"),
        ("http://127.0.0.1:5000", "anything"),
    ],
)
def test_another_sites_page_can_use_no_unsafe_method(method, origin, fetch_site):
    """A form, a beacon or a script of another site needs no answer to do harm."""
    assert LOCAL.refuse_site(method, "127.0.0.1:5000", origin, fetch_site) is Refusal.CROSS_SITE


@pytest.mark.parametrize(
    ("host", "origin", "fetch_site"),
    [
        ("127.0.0.1:5000", None, None),  # curl and SDKs
        ("127.0.0.1:5000", "http://127.0.0.1:5000", "same-origin"),  # Swagger UI
        ("127.0.0.1:5000", "http://127.0.0.1:5000", None),  # an older browser
        ("127.0.0.1:5000", None, "none"),  # typed by the user
        ("localhost", "http://localhost:80", None),
    ],
)
def test_own_pages_and_other_clients_can_use_every_method(host, origin, fetch_site):
    """The guard costs honest callers nothing."""
    assert LOCAL.refuse_site("POST", host, origin, fetch_site) is None


def test_pages_behind_a_proxy_that_changes_host_are_own_pages():
    """nginx sends the address of the upstream by default; the operator has named the public name."""
    assert PROXIED.refuse_site("POST", "127.0.0.1:5000", "https://chat.example", "same-origin") is None
    assert PROXIED.refuse_site("POST", "127.0.0.1:5000", "https://evil.example", None) is Refusal.CROSS_SITE


def test_pages_of_a_cors_origin_can_use_every_method():
    """The scheme and the port belong to an origin."""
    assert PROXIED.refuse_site("DELETE", "chat.example", "https://page.example", "cross-site") is None
    assert PROXIED.refuse_site("DELETE", "chat.example", "http://page.example", None) is Refusal.CROSS_SITE
    assert PROXIED.refuse_site("DELETE", "chat.example", "https://page.example:1", None) is Refusal.CROSS_SITE


@pytest.mark.parametrize("text", ["http://a.example", "a.example:80", "a b", "a/b", "a,,b c"])
def test_malformed_names_are_refused(text):
    """A name with a scheme would silently never match."""
    with pytest.raises(ValueError, match="host names"):
        read_names(text)


@pytest.mark.parametrize("text", ["*", "page.example", "https://page.example/", "https://*.example", "null"])
def test_malformed_origins_are_refused(text):
    """Every page of the web would be `*`; that is not offered."""
    with pytest.raises(ValueError, match="origins"):
        read_origins(text)


def test_an_address_is_told_from_a_name():
    """Health checks by address are answered: rebinding needs a name."""
    assert all(map(is_ip_address, ["10.0.0.7:80", "[fd00::1]:80", "10.0.0.7"]))
    assert not any(map(is_ip_address, ["evil.example", "10.0.0.7.evil.example", "1.2.3", ""]))
