"""What a worker has found out about a provider, and forgets in time."""

import asyncio
import json
from contextlib import aclosing

import pytest
from aiohttp import web

from jobs.errors import ProviderRejected
from jobs.kinds.chat import ChatTask
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


def ask(requests, *, refuses=True, refuse=None, delay=TIMEOUTS.first_token * 2, **settings):
    """The texts of the answers, and the bodies that a provider has received which answers only whole and slowly.

    ``refuse`` returns the error for a body that the provider refuses, with the status 422.
    """

    async def run():
        bodies = []

        async def answer(request):
            body = await request.json()
            bodies.append(body)
            if refuse is not None and (error := refuse(body)):
                return web.json_response(error, status=422)
            if body.get("stream") and refuses:
                return web.Response(status=400, text=json.dumps(REFUSAL), content_type="application/json")
            await asyncio.sleep(delay)
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


LIMITED = [
    ChatTask(kind="chat", message="hi", max_output_tokens=5),
    ResponseTask(kind="response", body={"input": "hi", "max_output_tokens": 5}),
]
UNKNOWN_LIMIT = [
    {"detail": [{"type": "extra_forbidden", "loc": ["body", "max_completion_tokens"], "msg": "Extra inputs"}]},
    {"error": {"message": "Unrecognized request argument supplied: max_completion_tokens", "param": None}},
    {"error": {"message": "x", "param": "max_completion_tokens", "code": "unsupported_parameter"}},
]


@pytest.mark.parametrize("request_", LIMITED, ids=lambda task: task.kind)
@pytest.mark.parametrize("error", UNKNOWN_LIMIT, ids=str)
def test_a_limit_is_sent_under_its_older_name_where_the_newer_is_unknown(request_, error):
    """The caller has chosen neither name, so the provider's refusal must not reach the caller."""
    texts, bodies = ask(
        [request_, request_],
        refuses=False,
        refuse=lambda body: error if "max_completion_tokens" in body else None,
        delay=0,
        provider_api="chat",
    )

    limits = [{name: value for name, value in body.items() if name.startswith("max_")} for body in bodies]
    assert texts == ["hello", "hello"]
    assert limits == [{"max_completion_tokens": 5}, {"max_tokens": 5}, {"max_tokens": 5}]


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (LIMITED[0], {"error": {"message": "too large", "param": "max_completion_tokens", "code": "invalid_value"}}),
        (CompletionTask(kind="completion", body={"messages": [], "max_completion_tokens": 5}), UNKNOWN_LIMIT[0]),
    ],
    ids=["value", "own name"],
)
def test_another_refusal_of_a_limit_reaches_the_caller(request_, error):
    """A value that is too large, or a name that the caller has chosen."""
    bodies = []

    def refuse(body):
        bodies.append(body)
        return error

    with pytest.raises(ProviderRejected):
        ask([request_], refuse=refuse, provider_api="chat")
    assert len(bodies) == 1


@pytest.mark.parametrize("request_", [ChatTask(kind="chat", message="hi"), REQUESTS[1]], ids=lambda task: task.kind)
def test_no_limit_is_sent_that_the_caller_did_not_ask_for(request_):
    """A default of ours would cut answers."""
    _, bodies = ask([request_], refuses=False, delay=0, provider_api="chat")

    assert not [name for body in bodies for name in body if name.startswith("max_")]
