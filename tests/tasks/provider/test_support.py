"""What a worker has found out about a provider, and forgets in time."""

import asyncio
import json
from contextlib import aclosing

import pytest
from aiohttp import web

from jobs.kinds.completion import CompletionTask
from jobs.kinds.response import ResponseTask
from jobs.settings import Settings
from tasks.provider.providers import Providers
from tasks.provider.support import RELEARN_SECONDS, ProviderSupport
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


def ask(requests, *, refuses=True, **settings):
    """The texts of the answers, and the bodies that a provider has received which answers only whole and slowly."""

    async def run():
        bodies = []

        async def answer(request):
            body = await request.json()
            bodies.append(body)
            if body.get("stream") and refuses:
                return web.Response(status=400, text=json.dumps(REFUSAL), content_type="application/json")
            await asyncio.sleep(TIMEOUTS.first_token * 2)
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
    texts, bodies = ask([request_], refuses=False, provider_streams=False)

    assert (texts, len(bodies)) == (["hello"], 1)
    assert "stream" not in bodies[0]
