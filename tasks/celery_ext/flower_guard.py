"""Guards Flower against pages of other sites: unknown Host, cross-site requests, framing.

Flower itself checks the origin only if it has a password, and never the Host. ``flowerconfig.py`` installs this for
every ``celery -A tasks flower`` that is run from the project's folder.
"""

from typing import Any, Final

from flower import urls  # type: ignore[import-untyped]
from flower.app import Flower  # type: ignore[import-untyped]
from tornado.httputil import HTTPHeaders, HTTPServerRequest
from tornado.web import OutputTransform, RequestHandler

from guards.browser_requests import SECURITY_HEADERS, BrowserPolicy, Refusal, is_ip_address
from jobs.settings import Settings

_PROBES: Final = ("/healthcheck", "/metrics")  # asked by address; DNS rebinding needs a name
_STATUS: Final = {Refusal.NO_HOST: 400, Refusal.UNKNOWN_HOST: 421, Refusal.CROSS_SITE: 403}


class Refused(RequestHandler):
    """Answers a refused request with any method."""

    def initialize(self, refusal: Refusal) -> None:
        self._refusal = refusal

    def check_xsrf_cookie(self) -> None:
        """Nothing to check: the request is refused anyway."""

    def prepare(self) -> None:
        self.set_status(_STATUS[self._refusal])
        self.set_header("Content-Type", "text/plain; charset=UTF-8")
        self.finish(f"{self._refusal.value}\n")


class SecurityHeaders(OutputTransform):
    """Adds the headers to every answer."""

    def transform_first_chunk(
        self, status_code: int, headers: HTTPHeaders, chunk: bytes, _finishing: bool
    ) -> tuple[int, HTTPHeaders, bytes]:
        for name, value in SECURITY_HEADERS.items():
            headers[name] = value
        return status_code, headers, chunk


def install(settings: Settings) -> None:
    """Guard each Flower that this process creates from now on."""
    policy = BrowserPolicy.of("", settings.allowed_hosts, None)
    find_handler = Flower.find_handler

    def find_guarded_handler(self: Flower, request: HTTPServerRequest, **options: Any) -> Any:
        refusal = _refusal(policy, request)
        if refusal is not None:
            return self.get_handler_delegate(request, Refused, {"refusal": refusal})
        return find_handler(self, request, **options)

    Flower.find_handler = find_guarded_handler
    urls.settings["transforms"] = [SecurityHeaders]


def _refusal(policy: BrowserPolicy, request: HTTPServerRequest) -> Refusal | None:
    headers = request.headers
    host = headers.get("Host")
    refusal = policy.refuse_host(host, request.version)
    is_probe = request.path.endswith(_PROBES) and host is not None and is_ip_address(host)
    if refusal is not None and not is_probe:
        return refusal
    return policy.refuse_site(request.method or "", host, headers.get("Origin"), headers.get("Sec-Fetch-Site"))
