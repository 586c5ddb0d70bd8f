"""Every view is guarded against pages of other sites, and every answer against framing, sniffing and caching."""

import re

import pytest
from werkzeug.routing import Rule

from api import create_app
from guards.browser_requests import SECURITY_HEADERS
from jobs.settings import Settings

EVIL = {"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"}
PAGE = "https://page.example"
JOB_ID = "job_" + "0" * 32


@pytest.fixture
def client(redis_client, redis_url):
    return create_app(Settings(REDIS_URL=redis_url, cors_origins=PAGE, allowed_hosts="chat.example")).test_client()


def routes(client, methods) -> list[tuple[str, str]]:
    """Each path of the app with each of the methods that it has, ids filled in."""

    def path(rule: Rule) -> str:
        return re.sub(r"<id:[^>]+>", JOB_ID, re.sub(r"<(?!id:)[^>]+>", "x", rule.rule))

    rules = client.application.url_map.iter_rules()
    return [(method, path(rule)) for rule in rules for method in sorted((rule.methods or set()) & methods)]


def test_no_unsafe_method_of_any_view_is_open_to_another_sites_page(client):
    """Found by walking the routes, so that a new view cannot be forgotten. An unknown path is refused as well."""
    found = routes(client, {"POST", "PUT", "PATCH", "DELETE"})
    statuses = {
        route: client.open(route[1], method=route[0], headers=EVIL).status_code for route in [*found, ("POST", "/x")]
    }

    assert len(found) > 10
    assert set(statuses.values()) == {403}


def test_no_view_answers_under_a_foreign_name(client):
    """DNS rebinding gives a page the service's address under the page's own name."""
    found = routes(client, {"GET", "POST", "DELETE", "OPTIONS"})
    probes = {"/health/live", "/health/ready"}
    statuses = {
        route: client.open(route[1], method=route[0], headers={"Host": "evil.example:5000"}).status_code
        for route in found
        if route[1] not in probes
    }

    assert set(statuses.values()) == {421}


def test_probes_are_answered_under_any_name_and_the_report_by_address(client):
    """A load balancer sends the address of the server, or a name that nobody configured."""
    for path in ("/health/live", "/health/ready"):
        assert client.get(path, headers={"Host": "probe.internal"}).status_code == 200
    assert client.get("/health", headers={"Host": "10.1.2.3:5000"}).status_code == 200
    assert client.get("/health", headers={"Host": "probe.internal"}).status_code == 421
    assert client.get("/api/v1/tasks", headers={"Host": "10.1.2.3:5000"}).status_code == 421


def test_a_name_of_the_setting_is_answered(client):
    """The error names the setting, so that an operator behind a proxy knows what to do."""
    assert client.get("/api/v1/tasks", headers={"Host": "chat.example"}).status_code == 200
    refused = client.get("/api/v1/tasks", headers={"Host": "other.example"})
    assert refused.json["error"]["code"] == "host_not_allowed"
    assert "CHATQUEUE_ALLOWED_HOSTS" in refused.json["detail"]


def test_a_request_without_host_is_malformed(client):
    """HTTP/1.1 requires the header; a probe in HTTP/1.0 has none."""
    without = {"environ_overrides": {"HTTP_HOST": "", "SERVER_PROTOCOL": "HTTP/1.1"}}
    old = {"environ_overrides": {"HTTP_HOST": "", "SERVER_PROTOCOL": "HTTP/1.0"}}

    assert client.get("/health/live", **without).status_code == 400
    assert client.get("/api/v1/tasks", **without).status_code == 400
    assert client.get("/health/live", **old).status_code == 200
    assert client.get("/api/v1/tasks", **old).status_code == 421


@pytest.mark.parametrize("headers", [{}, EVIL, {"Host": "evil.example"}], ids=["own", "cross-site", "rebound"])
def test_every_answer_has_the_headers_of_protection(client, headers):
    """Also errors, redirects and unknown paths; content is kept in no cache."""
    found = [*routes(client, {"GET", "POST", "DELETE"}), ("GET", "/unknown"), ("GET", "/docs/assets/index.html")]
    answers = {route: client.open(route[1], method=route[0], headers=headers) for route in found}

    for route, answer in answers.items():
        assert {name: answer.headers.get(name) for name in SECURITY_HEADERS} == SECURITY_HEADERS, route
        assert answer.headers["Cache-Control"] == "no-store", route
        answer.close()


def test_files_of_the_documentation_may_be_cached(client):
    """They are the same for everyone and large."""
    with client.get("/docs/assets/swagger-ui.css") as answer:
        assert answer.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("path", ["//api/v1//tasks", "///evil.example//x", "//evil.example/api/v1//tasks"])
def test_no_redirect_repeats_the_host(client, path):
    """A shared cache could otherwise send later visitors to a foreign host."""
    answer = client.get("/", environ_overrides={"PATH_INFO": path, "HTTP_HOST": "chat.example:1234"})

    assert answer.status_code in (308, 404)
    assert re.match(r"/(?!/)", answer.headers.get("Location", "/"))


def test_a_page_of_a_configured_origin_may_ask_and_read(client):
    """The preflight allows the headers that the page wants; the answer can be read, without credentials."""
    wanted = "content-type,idempotency-key,x-stainless-retry-count"
    preflight = client.options(
        "/api/v1/chat/async",
        headers={"Origin": PAGE, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": wanted},
    )
    answer = client.post(
        "/api/v1/chat/async", json={"message": "a"}, headers={"Origin": PAGE, "Sec-Fetch-Site": "cross-site"}
    )

    assert preflight.status_code == 204
    assert preflight.headers["Access-Control-Allow-Origin"] == PAGE
    assert preflight.headers["Access-Control-Allow-Headers"] == wanted
    assert "DELETE" in preflight.headers["Access-Control-Allow-Methods"]
    assert answer.status_code == 202
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE
    assert "Location" in answer.headers["Access-Control-Expose-Headers"]
    assert "Access-Control-Allow-Credentials" not in answer.headers


def test_an_error_can_be_read_by_a_page_of_a_configured_origin(client):
    """Otherwise the page sees a network failure in place of the reason."""
    answer = client.post("/api/v1/chat/async", json={"message": ""}, headers={"Origin": PAGE})

    assert answer.status_code == 422
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE


@pytest.mark.parametrize("origin", ["http://evil.example", "null", f"{PAGE}.evil.example", "http://page.example"])
def test_no_other_origin_is_allowed_to_read(client, origin):
    """The answer of a preflight and of a read name no other origin."""
    preflight = client.options(
        "/api/v1/chat/async", headers={"Origin": origin, "Access-Control-Request-Method": "POST"}
    )
    answer = client.get("/api/v1/tasks", headers={"Origin": origin})

    assert "Access-Control-Allow-Origin" not in preflight.headers
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert "Origin" in answer.headers["Vary"]
