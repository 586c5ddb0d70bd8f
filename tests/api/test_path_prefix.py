"""Behind a proxy that publishes the API below a path, every link is right, whoever removes the prefix."""

import json

import pytest

from api import create_app
from api.services import services_of
from jobs.settings import Settings

NO_REDIS = "redis://127.0.0.1:1/0"
CONFIGURED = {"SCRIPT_NAME": "/llm/"}
FORWARDED = {"FORWARDED_ALLOW_IPS": "10.0.0.0/8"}
PROXY = {"HTTP_X_FORWARDED_PREFIX": "/llm", "REMOTE_ADDR": "10.1.2.3"}


@pytest.fixture
def client_with(redis_client, redis_url):
    """A client of an app with these settings."""
    apps = []

    def create(url=redis_url, **settings):
        apps.append(create_app(Settings.model_validate({"REDIS_URL": url, **settings})))
        return apps[-1].test_client()

    yield create
    for app in apps:
        services_of(app).close()


@pytest.fixture(params=["configured", "forwarded", "by the server"])
def ways(request):
    """Settings and WSGI variables of each way to name the prefix, and what the path begins with."""
    return {
        "configured": (CONFIGURED, {}, ["", "/llm"]),
        "forwarded": (FORWARDED, PROXY, ["", "/llm"]),
        "by the server": ({}, {"SCRIPT_NAME": "/llm"}, [""]),
    }[request.param]


def test_every_link_begins_with_the_prefix(client_with, ways):
    """Location of a submit and of redirects, the instance of errors, and the server of the OpenAPI document."""
    settings, environ, prefixes = ways
    client = client_with(**settings)
    for prefix in prefixes:
        submitted = client.post(f"{prefix}/api/v1/chat/async", json={"message": "a"}, environ_overrides=environ)
        assert submitted.headers["Location"] == f"/llm/api/v1/chat/jobs/{submitted.json['job_id']}"
        missing = client.get(f"{prefix}/api/v1/tasks/x", environ_overrides=environ)
        assert missing.json["instance"] == "/llm/api/v1/tasks/x"
        assert client.get(f"{prefix}/", environ_overrides=environ).headers["Location"] == "/llm/docs"
        twice = {**environ, "PATH_INFO": f"{prefix}/api//v1/tasks"}
        assert client.get("/", environ_overrides=twice).headers["Location"] == "/llm/api/v1/tasks"
        document = client.get(f"{prefix}/openapi.json", environ_overrides=environ).json
        assert document["servers"] == [{"url": "/llm"}]


def test_probes_need_no_prefix(client_with):
    """A load balancer asks the process itself."""
    client = client_with(**CONFIGURED)

    assert [client.get(f"{prefix}/health/ready").status_code for prefix in ("", "/llm")] == [200, 200]
    assert client.get("/llmx/health/ready").status_code == 404


def test_the_docs_page_has_relative_links_only(client_with):
    """They work even if nobody has told the app its prefix."""
    page = client_with(NO_REDIS).get("/docs").text

    assert 'href="./docs/assets/swagger-ui.css"' in page
    assert '{"url": "./openapi.json"}' in page
    assert 'src="/' not in page
    assert 'href="/' not in page


@pytest.mark.parametrize(
    ("settings", "environ"),
    [
        ({}, PROXY),
        (FORWARDED, PROXY | {"REMOTE_ADDR": "11.1.2.3"}),
        (FORWARDED, PROXY | {"REMOTE_ADDR": ""}),
        (FORWARDED, PROXY | {"HTTP_X_FORWARDED_PREFIX": "//evil.example"}),
        (FORWARDED, PROXY | {"HTTP_X_FORWARDED_PREFIX": "https://evil.example"}),
    ],
)
def test_a_prefix_of_a_stranger_and_a_malformed_one_are_ignored(client_with, settings, environ):
    """A shared cache could keep a redirect to wherever the sender wants."""
    answer = client_with(NO_REDIS, **settings).get("/", environ_overrides=environ)

    assert answer.headers["Location"] == "/docs"


@pytest.mark.parametrize("host", ["LocalHost:5000", "localhost.", "127.0.0.1:80", "[::1]:5000"])
@pytest.mark.parametrize("path", ["//", "/api//v1/tasks", "//api/v1//tasks"])
def test_a_redirect_contains_no_host(client_with, host, path):
    """Neither in its header nor in its body, however the sender writes the host."""
    answer = client_with(NO_REDIS).get("/", environ_overrides={"PATH_INFO": path, "HTTP_HOST": host})

    assert answer.status_code in (302, 308)
    assert answer.headers["Location"] in ("/docs", "/api/v1/tasks")
    assert answer.data == b""


def test_without_a_prefix_the_document_names_no_server(client_with):
    """The default of OpenAPI is the root of the server."""
    assert "servers" not in json.loads(client_with(NO_REDIS).get("/openapi.json").data)
