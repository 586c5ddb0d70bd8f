"""What every request to the offline model passes: the guard against other sites, the errors, and the key."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus

from aiohttp import web

from guards.browser_requests import SECURITY_HEADERS, BrowserPolicy, Refusal
from local.offline_model import wire
from local.offline_model.body_errors import BodyError
from local.offline_model.directive import DirectiveError

POLICY = web.AppKey("policy", BrowserPolicy)
HEALTH = "/health"
_REFUSAL_STATUS = {Refusal.NO_HOST: 400, Refusal.UNKNOWN_HOST: 421, Refusal.CROSS_SITE: 403}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def add_security_headers(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(SECURITY_HEADERS)


@web.middleware
async def refuse_other_sites(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A page in a browser of this machine must not use this server."""
    headers, policy = request.headers, request.app[POLICY]
    host = headers.get("Host")
    refusal = None if request.path == HEALTH else policy.refuse_host(host)
    refusal = refusal or policy.refuse_site(request.method, host, headers.get("Origin"), headers.get("Sec-Fetch-Site"))
    if refusal is not None:
        return wire.error_response(_REFUSAL_STATUS[refusal], refusal.value)
    return await handler(request)


@web.middleware
async def render_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Errors in OpenAI's format."""
    try:
        return await handler(request)
    except BodyError as error:
        return wire.error_response(error.status, str(error), param=error.param, code=error.code)
    except DirectiveError as error:
        return wire.error_response(400, f"[[offline]]: {error}", code="bad_directive")
    except web.HTTPException as error:
        return _no_such_path(error, request)


def _no_such_path(error: web.HTTPException, request: web.Request) -> web.Response:
    """Unknown paths, wrong methods, and bodies that are too large."""
    if error.status == HTTPStatus.NOT_FOUND:
        message = f"Invalid URL ({request.method} {request.path})"
        return wire.error_response(error.status, message, code="unknown_url")
    if error.status == HTTPStatus.METHOD_NOT_ALLOWED:
        message = f"Not allowed to {request.method} on {request.path} (HINT: Perhaps you meant to use another method?)"
        return wire.error_response(error.status, message, code="method_not_supported")
    return wire.error_response(error.status, f"{HTTPStatus(error.status).phrase}: {request.method} {request.path}")


@web.middleware
async def require_api_key(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Any key is accepted. A client without a key fails here rather than in production."""
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if request.path.startswith("/v1/") and (scheme.lower() != "bearer" or not key.strip()):
        return wire.error_response(401, "You didn't provide an API key: send Authorization: Bearer with any key.")
    return await handler(request)
