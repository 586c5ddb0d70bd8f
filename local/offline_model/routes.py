"""The routes of the offline model. Each handler parses the body, counts the call and sends the answer."""

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from aiohttp import web

from documents.answering import prompting
from guards.browser_requests import SECURITY_HEADERS, BrowserPolicy, Refusal
from local.offline_model import delivery, wire
from local.offline_model.answers import Answer, generate_answer
from local.offline_model.bodies import BodyError, ChatBody, EmbeddingsBody, parse_body
from local.offline_model.calls import CallLog, TrackedCall, default_key
from local.offline_model.directive import Directive, DirectiveError, parse_directive
from local.offline_model.embedding import DEFAULT_DIMENSIONS, embed, to_base64
from local.offline_model.responses import ResponsesBody, ResponsesStreamEncoder, response_body
from openai_format.types import JsonObject

CALLS = web.AppKey("calls", CallLog)
MODELS = web.AppKey("models", tuple[str, ...])
_POLICY = web.AppKey("policy", BrowserPolicy)
_HEALTH = "/health"
_REFUSAL_STATUS = {Refusal.NO_HOST: 400, Refusal.UNKNOWN_HOST: 421, Refusal.CROSS_SITE: 403}
# Well above what chatqueue itself accepts (2 MiB a request): a conversation accumulates many requests.
MAX_BODY_BYTES = 64 * 1024 * 1024

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def create_app(
    models: tuple[str, ...], *, supports_responses: bool = False, allowed_hosts: str | None = None
) -> web.Application:
    """`models` are the names that ``GET /v1/models`` lists; calls may name any other.

    `allowed_hosts` are further names of this server, separated by commas, as in CHATQUEUE_ALLOWED_HOSTS.
    """
    middlewares = [_refuse_other_sites, _error_middleware, _require_api_key]
    app = web.Application(middlewares=middlewares, client_max_size=MAX_BODY_BYTES)
    app[_POLICY] = BrowserPolicy.of("", allowed_hosts, None)
    app.on_response_prepare.append(_add_security_headers)
    app[CALLS] = CallLog()
    app[MODELS] = models
    app.router.add_post("/v1/chat/completions", create_completion)
    if supports_responses:
        app.router.add_post("/v1/responses", create_response)
    app.router.add_post("/v1/embeddings", create_embeddings)
    app.router.add_get("/v1/models", list_models)
    app.router.add_get("/v1/models/{name:.+}", show_model)
    app.router.add_get("/health", show_health)
    app.router.add_get("/offline/calls", show_calls)
    app.router.add_post("/offline/reset", reset_calls)
    return app


async def create_completion(request: web.Request) -> web.StreamResponse:
    body = parse_body(ChatBody, await request.read())
    return await _respond(
        request, body, wire.ChatStreamEncoder(body.model, wants_usage=body.wants_usage), wire.completion
    )


async def create_response(request: web.Request) -> web.StreamResponse:
    body = parse_body(ResponsesBody, await request.read()).to_chat()
    return await _respond(request, body, ResponsesStreamEncoder(body.model), response_body)


async def _respond(
    request: web.Request,
    body: ChatBody,
    encoder: delivery.StreamEncoder,
    to_body: Callable[[str, Answer], JsonObject],
) -> web.StreamResponse:
    directive, prompt = _parse_prompt(body.prompt)
    with request.app[CALLS].track(directive.key or default_key(body.prompt)) as call:
        directive = directive.for_call(call.number)
        fault_response = await _delay_and_fail(request, directive, is_stream=bool(body.stream))
        if fault_response is not None:
            return fault_response
        answer = generate_answer(body, directive, prompt)
        if not body.stream:
            return await delivery.send_json(request, call, to_body(body.model, answer), answer, directive)
        return await delivery.send_stream(request, call, encoder, answer, directive)


async def create_embeddings(request: web.Request) -> web.StreamResponse:
    body = parse_body(EmbeddingsBody, await request.read())
    first, *others = body.texts
    directive, text = parse_directive(first)
    with request.app[CALLS].track(directive.key or default_key(first)) as call:
        directive = directive.for_call(call.number)
        fault_response = await _delay_and_fail(request, directive, is_stream=False)
        if fault_response is not None:
            return fault_response
        return await _respond_embeddings(request, call, body, [text, *others], directive)


def _parse_prompt(prompt: str) -> tuple[Directive, str]:
    """The directive and the prompt without it. Only the question may have one: a document's text is ignored."""
    parsed = prompting.parse_prompt(prompt)
    if parsed is None:
        return parse_directive(prompt)
    directive, question = parse_directive(parsed[0])
    return directive, prompt.removesuffix(parsed[0]) + question


async def list_models(request: web.Request) -> web.Response:
    cards = [wire.model_card(name) for name in request.app[MODELS]]
    return wire.json_response({"object": "list", "data": cards})


async def show_model(request: web.Request) -> web.Response:
    name = request.match_info["name"]
    if name not in request.app[MODELS]:
        return wire.error_response(404, f"The model '{name}' does not exist", param="model", code="model_not_found")
    return wire.json_response(wire.model_card(name))


async def show_health(_request: web.Request) -> web.Response:
    return wire.json_response({"status": "ok"})


async def show_calls(request: web.Request) -> web.Response:
    return wire.json_response(request.app[CALLS].report())


async def reset_calls(request: web.Request) -> web.Response:
    request.app[CALLS].reset()
    return wire.json_response(request.app[CALLS].report())


async def _delay_and_fail(request: web.Request, directive: Directive, *, is_stream: bool) -> web.StreamResponse | None:
    """Wait for the delay. Returns the response that replaces the answer if the directive asks for one."""
    if directive.delay_seconds:
        await asyncio.sleep(directive.delay_seconds)
    if directive.status is not None:
        return wire.directive_error(directive)
    if directive.garbage is not None:
        return await delivery.send_garbage(request, directive.garbage, is_stream=is_stream)
    return None


async def _respond_embeddings(
    request: web.Request, call: TrackedCall, body: EmbeddingsBody, texts: list[str], directive: Directive
) -> web.StreamResponse:
    await delivery.inject_fault(request, call, directive)
    vectors: list[list[float] | str] = []
    for text in texts:
        vector = embed(text, body.dimensions or DEFAULT_DIMENSIONS)
        vectors.append(to_base64(vector) if body.encoding_format == "base64" else vector)
        await asyncio.sleep(0)  # two thousand long texts must not block the streams
    words = sum(len(text.split()) for text in body.texts)
    return wire.json_response(wire.embeddings(body.model, vectors, words))


async def _add_security_headers(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(SECURITY_HEADERS)


@web.middleware
async def _refuse_other_sites(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A page in a browser of this machine must not use this server."""
    headers, policy = request.headers, request.app[_POLICY]
    host = headers.get("Host")
    refusal = None if request.path == _HEALTH else policy.refuse_host(host)
    refusal = refusal or policy.refuse_site(request.method, host, headers.get("Origin"), headers.get("Sec-Fetch-Site"))
    if refusal is not None:
        return wire.error_response(_REFUSAL_STATUS[refusal], refusal.value)
    return await handler(request)


@web.middleware
async def _error_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Errors in OpenAI's format."""
    try:
        return await handler(request)
    except BodyError as error:
        return wire.error_response(400, str(error), param=error.param)
    except DirectiveError as error:
        return wire.error_response(400, f"[[offline]]: {error}", code="bad_directive")
    except web.HTTPException as error:
        return wire.error_response(error.status, f"{HTTPStatus(error.status).phrase}: {request.method} {request.path}")


@web.middleware
async def _require_api_key(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Any key is accepted. A client without a key fails here rather than in production."""
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if request.path.startswith("/v1/") and (scheme.lower() != "bearer" or not key.strip()):
        return wire.error_response(401, "You didn't provide an API key: send Authorization: Bearer with any key.")
    return await handler(request)
