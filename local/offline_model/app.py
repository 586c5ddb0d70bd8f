"""The routes of the offline model. Each handler reads the body, counts the call and hands over the answer."""

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from aiohttp import web

from documents import prompting
from local.offline_model import delivery, wire
from local.offline_model.answers import Answer, answer
from local.offline_model.bodies import BodyError, ChatBody, EmbeddingsBody, read_body
from local.offline_model.calls import Call, CallLog, key_of
from local.offline_model.directive import Directive, DirectiveError, read_prompt
from local.offline_model.embedding import DEFAULT_DIMENSIONS, embed, to_base64
from local.offline_model.responses import ResponseEvents, ResponsesBody, response

CALLS = web.AppKey("calls", CallLog)
MODELS = web.AppKey("models", tuple[str, ...])
# Well above what chatqueue itself accepts (2 MiB a request), since a conversation adds up.
MAX_BODY_BYTES = 32 * 1024 * 1024

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def create_app(models: tuple[str, ...], *, speaks_responses: bool = False) -> web.Application:
    """`models` are the names that ``GET /v1/models`` lists; calls may name any other."""
    app = web.Application(middlewares=[_answer_errors, _ask_for_a_key], client_max_size=MAX_BODY_BYTES)
    app[CALLS] = CallLog()
    app[MODELS] = models
    app.router.add_post("/v1/chat/completions", create_completion)
    if speaks_responses:
        app.router.add_post("/v1/responses", create_response)
    app.router.add_post("/v1/embeddings", create_embeddings)
    app.router.add_get("/v1/models", list_models)
    app.router.add_get("/v1/models/{name:.+}", show_model)
    app.router.add_get("/health", show_health)
    app.router.add_get("/offline/calls", show_calls)
    app.router.add_post("/offline/reset", reset_calls)
    return app


async def create_completion(request: web.Request) -> web.StreamResponse:
    body = read_body(ChatBody, await request.read())
    return await _answer(request, body, wire.Chunks(body.model, wants_usage=body.wants_usage), wire.completion)


async def create_response(request: web.Request) -> web.StreamResponse:
    body = read_body(ResponsesBody, await request.read()).as_chat()
    return await _answer(request, body, ResponseEvents(body.model), response)


async def _answer(
    request: web.Request, body: ChatBody, chunks: delivery.Chunks, whole: Callable[[str, Answer], dict[str, Any]]
) -> web.StreamResponse:
    directive, prompt = _read(body.prompt)
    with request.app[CALLS].follow(directive.key or key_of(body.prompt)) as call:
        directive = directive.for_call(call.number)
        early = await _wait_and_fail(request, directive, is_stream=bool(body.stream))
        if early is not None:
            return early
        said = answer(body, directive, prompt)
        if not body.stream:
            return await delivery.answer_whole(request, call, whole(body.model, said), said, directive)
        return await delivery.answer_stream(request, call, chunks, said, directive)


async def create_embeddings(request: web.Request) -> web.StreamResponse:
    body = read_body(EmbeddingsBody, await request.read())
    first, *others = body.texts
    directive, text = read_prompt(first)
    with request.app[CALLS].follow(directive.key or key_of(first)) as call:
        directive = directive.for_call(call.number)
        early = await _wait_and_fail(request, directive, is_stream=False)
        if early is not None:
            return early
        return await _answer_embeddings(request, call, body, [text, *others], directive)


def _read(prompt: str) -> tuple[Directive, str]:
    """The directive and the prompt without it. What a document says orders nothing: only the question may."""
    asked = prompting.read_prompt(prompt)
    if asked is None:
        return read_prompt(prompt)
    directive, question = read_prompt(asked[0])
    return directive, prompt.removesuffix(asked[0]) + question


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


async def _wait_and_fail(request: web.Request, directive: Directive, *, is_stream: bool) -> web.StreamResponse | None:
    """Sit out the delay; then what is answered in place of an answer, if the prompt ordered such."""
    if directive.delay_seconds:
        await asyncio.sleep(directive.delay_seconds)
    if directive.status is not None:
        return wire.ordered_error(directive)
    if directive.garbage is not None:
        return await delivery.answer_garbage(request, directive.garbage, is_stream=is_stream)
    return None


async def _answer_embeddings(
    request: web.Request, call: Call, body: EmbeddingsBody, texts: list[str], directive: Directive
) -> web.StreamResponse:
    await delivery.break_off(request, call, directive)
    vectors: list[list[float] | str] = []
    for text in texts:
        vector = embed(text, body.dimensions or DEFAULT_DIMENSIONS)
        vectors.append(to_base64(vector) if body.encoding_format == "base64" else vector)
        await asyncio.sleep(0)  # two thousand long texts must not hold up the streams
    words = sum(len(text.split()) for text in body.texts)
    return wire.json_response(wire.embeddings(body.model, vectors, words))


@web.middleware
async def _answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Each refusal in OpenAI's shape."""
    try:
        return await handler(request)
    except BodyError as error:
        return wire.error_response(400, str(error), param=error.param)
    except DirectiveError as error:
        return wire.error_response(400, f"[[offline]]: {error}", code="bad_directive")
    except web.HTTPException as error:
        return wire.error_response(error.status, f"{HTTPStatus(error.status).phrase}: {request.method} {request.path}")


@web.middleware
async def _ask_for_a_key(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Any key will do, but a client that forgot to send one should learn of it here and not in production."""
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if request.path.startswith("/v1/") and (scheme.lower() != "bearer" or not key.strip()):
        return wire.error_response(401, "You didn't provide an API key: send Authorization: Bearer, any key will do.")
    return await handler(request)
