"""Guards every request against pages of other sites, and every answer against framing, sniffing and caching.

One place for the whole app: a new view is guarded without doing anything. The decisions are in guards.browser_requests.
"""

import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

from flask import Flask, Response, request

from guards.browser_requests import SECURITY_HEADERS, BrowserPolicy, Refusal, is_ip_address
from jobs.errors import ChatqueueError, CrossSiteRequest, HostNotAllowed, MalformedRequest
from jobs.settings import Settings

_PROBES: Final = frozenset({"/health/live", "/health/ready"})  # contain nothing, so a name does not matter
_BY_ADDRESS: Final = frozenset({"/health", "/metrics"})  # figures only, and an address is no rebound name
_ERRORS: Final[dict[Refusal, type[ChatqueueError]]] = {
    Refusal.NO_HOST: MalformedRequest,
    Refusal.UNKNOWN_HOST: HostNotAllowed,
    Refusal.CROSS_SITE: CrossSiteRequest,
}
_ASSETS_TYPES: Final = ("text/css", "text/javascript", "application/javascript", "image/")  # files of Swagger UI
_HEADERS: Final = list(SECURITY_HEADERS.items())
_HEADERS_OF_CONTENT: Final = [*_HEADERS, ("Cache-Control", "no-store")]
_CORS_METHODS: Final = "GET, HEAD, POST, DELETE"
_CORS_EXPOSED: Final = (
    "ETag, Idempotency-Replayed, Location, Preference-Applied, Retry-After, X-Request-Id, x-should-retry"
)
_CORS_MAX_AGE_SECONDS: Final = "600"
_HEADER_NAMES: Final = re.compile(r"[A-Za-z0-9-]{1,100}(?:\s*,\s*[A-Za-z0-9-]{1,100}){0,50}")


def install(app: Flask, settings: Settings) -> None:
    """Guard all requests and answers of the app, also those of unknown paths."""
    policy = BrowserPolicy.of(settings.web_host, settings.allowed_hosts, settings.cors_origins)

    def guard() -> Response | None:
        environ = request.environ
        host, origin = environ.get("HTTP_HOST"), environ.get("HTTP_ORIGIN")
        refusal = policy.refuse_host(host, environ.get("SERVER_PROTOCOL", ""))
        if refusal is not None and not _is_probe(request.path, host, refusal):
            raise _ERRORS[refusal](refusal.value)
        if origin is not None and _is_preflight(origin, policy):
            return Response(status=204)
        refusal = policy.refuse_site(environ["REQUEST_METHOD"], host, origin, environ.get("HTTP_SEC_FETCH_SITE"))
        if refusal is not None:
            raise _ERRORS[refusal](refusal.value)
        return None

    app.before_request(guard)
    app.after_request(_make_location_relative)
    if policy.cors_origins:
        app.after_request(partial(_allow_cors, policy))
    app.wsgi_app = _protected(app.wsgi_app)  # type: ignore[method-assign]  # Flask's documented way to wrap it


def _protected(wsgi_app: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """The app with the headers of protection on every answer. Outside of Flask, whose headers take longer to set."""

    def protected_app(environ: Any, start_response: Callable[..., Any]) -> Iterable[bytes]:
        def start_protected(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            return start_response(status, _protect(headers), *error)

        return wsgi_app(environ, start_protected)

    return protected_app


def _protect(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Content is stored in no cache; files of the documentation keep their own rule."""
    names = [name for name, _ in headers]
    if "Cache-Control" not in names:
        return headers + _HEADERS_OF_CONTENT
    if any(name == "Content-Type" and value.startswith(_ASSETS_TYPES) for name, value in headers):
        return headers + _HEADERS
    return [header for header in headers if header[0] != "Cache-Control"] + _HEADERS_OF_CONTENT


def _is_probe(path: str, host: str | None, refusal: Refusal) -> bool:
    """True for a health check that needs no known name: a load balancer sends the server's address, or any name."""
    if refusal is Refusal.NO_HOST:
        return False
    return path in _PROBES or (path in _BY_ADDRESS and host is not None and is_ip_address(host))


def _is_preflight(origin: str, policy: BrowserPolicy) -> bool:
    is_preflight = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
    return is_preflight and policy.allows_cors(origin)


def _make_location_relative(response: Response) -> Response:
    """Werkzeug's own redirects repeat Host, which the sender chooses, in the header and in the body.

    No view redirects to another host.
    """
    if 300 <= response.status_code < 400 and "Location" in response.headers:  # noqa: PLR2004  # redirects
        parts = urlsplit(response.headers["Location"])
        path = "/" + parts.path.lstrip("/")  # two slashes would begin the name of another host
        response.headers["Location"] = f"{path}?{parts.query}" if parts.query else path
        response.set_data(b"")
    return response


def _allow_cors(policy: BrowserPolicy, response: Response) -> Response:
    response.headers.add("Vary", "Origin")
    origin = request.environ.get("HTTP_ORIGIN")
    if origin is None or not policy.allows_cors(origin):
        return response
    response.headers["Access-Control-Allow-Origin"] = origin
    response.headers["Access-Control-Expose-Headers"] = _CORS_EXPOSED
    if request.method != "OPTIONS":
        return response
    response.headers["Access-Control-Allow-Methods"] = _CORS_METHODS
    response.headers["Access-Control-Max-Age"] = _CORS_MAX_AGE_SECONDS
    requested = request.headers.get("Access-Control-Request-Headers", "")
    if _HEADER_NAMES.fullmatch(requested):
        response.headers["Access-Control-Allow-Headers"] = requested
    return response
