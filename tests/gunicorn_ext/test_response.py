"""Our response of gunicorn sends the same bytes as gunicorn's own, with fewer calls, and reads each setting once."""

import itertools

import pytest
from gunicorn import util  # type: ignore[import-untyped]
from gunicorn.config import Config  # type: ignore[import-untyped]
from gunicorn.http import wsgi  # type: ignore[import-untyped]

from gunicorn_ext.response import Response
from gunicorn_ext.settings_once import SettingsOnce

BODIES = {
    "whole": [b'{"a":1}'],
    "empty": [b""],
    "none": [],
    "parts": [b'{"a"', b":1}"],
    "too long": [b'{"a":1} and more'],
    "too short": [b"{"],
    "large": [b"x" * 100_000],
}


class Request:
    def __init__(self, method, version, closes):
        self.method, self.version, self._closes = method, version, closes

    def should_close(self):
        return self._closes


class Socket:
    """Keeps what was sent."""

    def __init__(self):
        self.sent = []

    def sendall(self, data):
        self.sent.append(bytes(data))


@pytest.fixture(autouse=True)
def _one_moment(monkeypatch):
    monkeypatch.setattr(util, "http_date", lambda _=None: "Sat, 21 Nov 2026 10:00:00 GMT")


def send(response_class, request, status, headers, body):
    connection = Socket()
    response = response_class(request, connection, Config())
    response.start_response(status, headers)
    for part in body:
        response.write(part)
    response.close()
    return connection.sent, response.should_close()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("status", ["200 OK", "202 ACCEPTED", "204 NO CONTENT", "304 NOT MODIFIED", "500 ERROR"])
def test_the_bytes_are_those_of_gunicorn(method, status):
    """For each body, with and without a length, in both versions of HTTP, with and without a kept connection."""
    for body, length, version, closes in itertools.product(
        BODIES.values(), (None, "7", "0", "100000"), ((1, 0), (1, 1)), (True, False)
    ):
        headers = [("Content-Type", "application/json"), ("X-Name", "\xfc"), ("Connection", "close")]
        headers += [("Content-Length", length)] if length is not None else []
        request = Request(method, version, closes)
        ours, closes_ours = send(Response, request, status, headers, body)
        theirs, closes_theirs = send(wsgi.Response, request, status, headers, body)

        assert b"".join(ours) == b"".join(theirs)
        assert closes_ours == closes_theirs
        assert len(ours) <= len(theirs)


def test_a_complete_answer_is_one_send():
    """Headers and body in two packets cost the client and the server a system call each."""
    sent, _ = send(Response, Request("POST", (1, 1), False), "202 ACCEPTED", [("Content-Length", "7")], BODIES["whole"])

    assert len(sent) == 1


def test_each_setting_has_its_value():
    """Also those that gunicorn computes, and its methods."""
    config = Config()
    config.set("keepalive", 15)
    once = SettingsOnce(config)

    assert once.keepalive == 15
    assert {name: getattr(once, name) for name in config.settings} == {
        name: getattr(config, name) for name in config.settings
    }
    assert once.is_ssl == config.is_ssl
    assert once.forwarded_allow_networks() == config.forwarded_allow_networks()
    with pytest.raises(AttributeError):
        _ = once.no_such_setting
