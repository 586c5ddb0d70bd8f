"""The routes of the offline model. Each handler parses the body, counts the call and sends the answer."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

from aiohttp import web

from documents.answering import prompting
from guards.browser_requests import BrowserPolicy
from local.offline_model import delivery, wire
from local.offline_model.answers import Answer, generate_answer
from local.offline_model.bodies import AnswerRequest, EmbeddingsBody, SamplingBody, parse_body
from local.offline_model.calls import CallLog, TrackedCall, default_key
from local.offline_model.chat_body import ChatBody
from local.offline_model.directive import Directive, parse_directive
from local.offline_model.embedding import DEFAULT_DIMENSIONS, embed, to_base64
from local.offline_model.framing import Framing
from local.offline_model.middlewares import (
    HEALTH,
    POLICY,
    add_security_headers,
    refuse_other_sites,
    render_errors,
    require_api_key,
)
from local.offline_model.responses import ResponsesStreamEncoder, response_body
from local.offline_model.responses_body import ResponsesBody
from local.offline_model.text_completions import TextCompletion, TextCompletionBody
from openai_format.types import JsonObject

CALLS = web.AppKey("calls", CallLog)
MODELS = web.AppKey("models", tuple[str, ...])
DEFAULT_DIRECTIVE = web.AppKey("default_directive", Directive)
# Well above what chatqueue itself accepts (34 MiB a request): a conversation accumulates many requests.
MAX_BODY_BYTES = 64 * 1024 * 1024


def create_app(
    models: tuple[str, ...],
    *,
    supports_responses: bool = False,
    calls_functions: bool = False,
    allowed_hosts: str | None = None,
) -> web.Application:
    """`models` are the names that ``GET /v1/models`` lists; calls may name any other.

    `calls_functions`: a prompt without a directive is answered with a call of the first function that it offers.
    `allowed_hosts` are further names of this server, separated by commas, as in CHATQUEUE_ALLOWED_HOSTS.
    """
    middlewares = [refuse_other_sites, render_errors, require_api_key]
    app = web.Application(middlewares=middlewares, client_max_size=MAX_BODY_BYTES)
    app[POLICY] = BrowserPolicy.of("", allowed_hosts, None)
    app.on_response_prepare.append(add_security_headers)
    app[CALLS] = CallLog()
    app[MODELS] = models
    app[DEFAULT_DIRECTIVE] = Directive(calls=int(calls_functions))
    app.router.add_post("/v1/chat/completions", create_completion)
    if supports_responses:
        app.router.add_post("/v1/responses", create_response)
    app.router.add_post("/v1/completions", create_text_completion)
    app.router.add_post("/v1/embeddings", create_embeddings)
    app.router.add_get("/v1/models", list_models)
    app.router.add_get("/v1/models/{name:.+}", show_model)
    app.router.add_get(HEALTH, show_health)
    app.router.add_get("/offline/calls", show_calls)
    app.router.add_post("/offline/reset", reset_calls)
    return app


async def create_completion(request: web.Request) -> web.StreamResponse:
    body = parse_body(ChatBody, await request.read())
    asked = body.answer_request()
    encoder = wire.ChatStreamEncoder(
        body.model, wants_usage=body.wants_usage, choices=asked.choices, top_logprobs=asked.top_logprobs
    )
    return await _respond(request, asked, body, encoder, wire.completion)


async def create_response(request: web.Request) -> web.StreamResponse:
    body = parse_body(ResponsesBody, await request.read())
    asked = body.answer_request()
    return await _respond(request, asked, body, ResponsesStreamEncoder(body.model, asked.top_logprobs), response_body)


async def create_text_completion(request: web.Request) -> web.StreamResponse:
    """The first prompt alone may contain a directive, which holds for all."""
    body = parse_body(TextCompletionBody, await request.read())
    prompts = body.prompts()
    directive, first = parse_directive(prompts[0].text)
    async with _call(request, directive, prompts[0].text, is_stream=body.stream) as (call, directive, fault_response):
        if fault_response is not None:
            return fault_response
        texts = [first, *(prompt.text for prompt in prompts[1:])]
        answers = [
            generate_answer(body.answer_request(prompt), directive, text)
            for prompt, text in zip(prompts, texts, strict=True)
        ]
        completion = TextCompletion(body, prompts, answers)
        return await _send(request, call, directive, completion.longest, completion, completion.body, body.stream)


async def _respond(
    request: web.Request,
    asked: AnswerRequest,
    body: SamplingBody,
    encoder: delivery.StreamEncoder,
    to_body: Callable[[str, Answer], JsonObject],
) -> web.StreamResponse:
    directive, prompt = _parse_prompt(asked.prompt)
    if directive == Directive():
        directive = request.app[DEFAULT_DIRECTIVE]
    async with _call(request, directive, asked.prompt, is_stream=body.stream) as (call, directive, fault_response):
        if fault_response is not None:
            return fault_response
        answer = generate_answer(asked, directive, prompt)
        whole = partial(to_body, body.model, answer)
        return await _send(request, call, directive, answer, encoder, whole, body.stream)


@asynccontextmanager
async def _call(
    request: web.Request, directive: Directive, prompt: str, *, is_stream: bool
) -> AsyncIterator[tuple[TrackedCall, Directive, web.StreamResponse | None]]:
    """Counts the call and waits for its delay.

    Yields the instructions for this call, and the response that replaces the answer if the directive asks for one.
    """
    with request.app[CALLS].track(directive.key or default_key(prompt)) as call:
        directive = directive.for_call(call.number)
        yield call, directive, await _delay_and_fail(request, directive, is_stream=is_stream)


async def _send(
    request: web.Request,
    call: TrackedCall,
    directive: Directive,
    answer: Answer,
    encoder: delivery.StreamEncoder,
    whole: Callable[[], JsonObject],
    is_stream: bool,
) -> web.StreamResponse:
    if is_stream and directive.framing is not Framing.WHOLE:
        return await delivery.send_stream(request, call, encoder, answer, directive)
    return await delivery.send_json(request, call, whole(), answer, directive)


async def create_embeddings(request: web.Request) -> web.StreamResponse:
    body = parse_body(EmbeddingsBody, await request.read())
    first, *others = body.texts
    directive, text = parse_directive(first)
    async with _call(request, directive, first, is_stream=False) as (call, directive, fault_response):
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
    if directive.error_after is not None:
        return wire.json_response(wire.late_error(directive))
    vectors: list[list[float] | str] = []
    for text in texts:
        vector = embed(text, body.dimensions or DEFAULT_DIMENSIONS)
        vectors.append(to_base64(vector) if body.encoding_format == "base64" else vector)
        await asyncio.sleep(0)  # two thousand long texts must not block the streams
    words = sum(len(text.split()) for text in body.texts)
    return wire.json_response(wire.embeddings(body.model, vectors, words))
