"""What a worker has found out about a provider, and forgets in time."""

import asyncio
import json
from contextlib import aclosing

import httpx2
import openai
import pytest
from aiohttp import web

from jobs.errors import ProviderRejected
from jobs.kinds.chat import ChatTask
from jobs.kinds.completion import CompletionTask
from jobs.kinds.response import ResponseTask
from jobs.settings import Settings
from tasks.provider.providers import Providers
from tasks.provider.support import RELEARN_SECONDS, ProviderSupport, refuses_limit_name
from tasks.provider.timeouts import Timeouts

TIMEOUTS = Timeouts(total=10.0, first_token=0.3, idle=0.3)
MESSAGE = {"id": "m1", "type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "hello"}]}
ANSWERS = {
    "/v1/chat/completions": {"choices": [{"index": 0, "message": {"content": "hello"}, "finish_reason": "stop"}]},
    "/v1/responses": {"object": "response", "status": "completed", "output": [MESSAGE]},
}
REFUSAL = {"error": {"message": "must be verified", "param": "stream", "code": "unsupported_value"}}
REQUESTS = [
    CompletionTask(kind="completion", body={"messages": []}),
    ResponseTask(kind="response", body={"input": "hi"}),
]


def test_a_found_format_is_forgotten_in_time():
    """A provider may be upgraded; the operator's setting is never forgotten."""
    now = [0.0]
    support = ProviderSupport("auto", streams=True, clock=lambda: now[0])
    support.found_format("chat")
    support.found_unstreamed("m")
    assert (support.api_format, support.streams("m"), support.streams("other")) == ("chat", False, True)
    now[0] += RELEARN_SECONDS

    assert (support.api_format, support.streams("m")) == ("auto", True)
    assert ProviderSupport("responses", streams=False).api_format == "responses"
    assert not ProviderSupport("auto", streams=False).streams("m")


def refuses_streams(body):
    return REFUSAL if body.get("stream") else None


def accepts_all(_):
    return None


def ask(requests, *, refusal=refuses_streams, delay_seconds=TIMEOUTS.first_token * 2, **settings):
    """The texts of the answers, and the bodies that a provider has received which answers only whole and slowly."""

    async def run():
        bodies = []

        async def answer(request):
            body = await request.json()
            bodies.append(body)
            if refused := refusal(body):
                return web.Response(status=400, text=json.dumps(refused), content_type="application/json")
            await asyncio.sleep(delay_seconds)
            return web.json_response(ANSWERS[request.path])

        app = web.Application()
        app.router.add_post("/{path:.*}", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        provider = Providers(Settings(OPENAI_BASE_URL=url, OPENAI_API_KEY="sk-x", **settings))
        try:
            texts = []
            for request in requests:
                async with aclosing(provider.chat(request, TIMEOUTS)) as deltas:
                    texts.append("".join([delta.text async for delta in deltas]))
            return texts, bodies
        finally:
            await provider.close()
            await runner.cleanup()

    return asyncio.run(run())


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda task: task.kind)
def test_a_refused_stream_is_requested_as_a_whole(request_):
    """The second call does not ask for a stream again. A whole answer may take longer than a first token."""
    texts, bodies = ask([request_, request_])

    assert texts == ["hello", "hello"]
    assert ["stream" in body for body in bodies] == [True, False, False]
    assert "stream_options" not in bodies[-1]


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda task: task.kind)
def test_the_setting_requests_whole_answers(request_):
    """For providers that cannot stream and do not say so."""
    texts, bodies = ask([request_], refusal=accepts_all, provider_streams=False)

    assert (texts, len(bodies)) == (["hello"], 1)
    assert "stream" not in bodies[0]


LIMITED = [
    ChatTask(kind="chat", message="hi", max_output_tokens=5),
    ResponseTask(kind="response", body={"input": "hi", "max_output_tokens": 5}),
]


WHOLE = {"provider_streams": False, "delay_seconds": 0}


def refuses_newer_limit(body):
    return EXTRA if "max_completion_tokens" in body else None


EXTRA = {
    "detail": [{"type": "x", "loc": ["body", "max_completion_tokens"], "msg": "Extra inputs are not permitted"}],
}


@pytest.mark.parametrize("request_", LIMITED, ids=lambda task: task.kind)
def test_a_limit_gets_its_older_name_where_the_newer_one_is_unknown(request_):
    """The caller has named neither: it is a translation. The second call uses what was found."""
    texts, bodies = ask([request_, request_], refusal=refuses_newer_limit, provider_api="chat", provider_streams=False)

    assert texts == ["hello", "hello"]
    limits = [(body.get("max_completion_tokens"), body.get("max_tokens")) for body in bodies]
    assert limits == [(5, None), (None, 5), (None, 5)]


def test_a_limit_that_the_caller_has_named_stays_as_it_is():
    """The error is about the caller's own parameter."""
    request = CompletionTask(kind="completion", body={"messages": [], "max_completion_tokens": 5})

    with pytest.raises(ProviderRejected):
        ask([request], refusal=refuses_newer_limit, **WHOLE)


@pytest.mark.parametrize(
    ("status", "body", "is_unknown"),
    [
        (422, EXTRA, True),
        (400, {"error": {"param": "max_completion_tokens", "code": "unsupported_parameter", "message": "x"}}, True),
        (400, {"error": {"message": "Unrecognized request argument supplied: max_completion_tokens"}}, True),
        (400, {"error": {"param": "max_completion_tokens", "code": "invalid_value", "message": "too large"}}, False),
        (400, {"error": {"param": "top_k", "code": "unknown_parameter", "message": "x"}}, False),
        (500, {"error": {"param": "max_completion_tokens", "code": "unknown_parameter", "message": "x"}}, False),
    ],
)
def test_only_an_unknown_name_of_the_limit_is_replaced(status, body, is_unknown):
    """A value that the provider rejects is the caller's to change."""
    request = httpx2.Request("POST", "http://127.0.0.1/v1")
    error = openai.APIStatusError("x", response=httpx2.Response(status, request=request), body=body.get("error", body))

    assert refuses_limit_name(error) is is_unknown
