"""A redirect of the provider: an error, and nothing is sent to the address to which it leads."""

import asyncio
from contextlib import aclosing

import pytest

from jobs.errors import AttemptError, ProviderFault, ProviderRejected
from jobs.kinds.chat import ChatTask
from jobs.kinds.completion import CompletionTask
from jobs.kinds.embeddings import EmbeddingsTask
from jobs.kinds.response import ResponseTask
from jobs.settings import Settings
from tasks.provider.providers import Providers
from tasks.provider.timeouts import Timeouts
from tests.support.answering_server import answering_server

TIMEOUTS = Timeouts(total=10.0, first_token=5.0, idle=5.0)
MESSAGES = [{"role": "user", "content": "hi"}]
REDIRECTS = (300, 301, 302, 303, 307, 308)


async def stream(providers, request):
    async with aclosing(providers.chat(request, TIMEOUTS)) as deltas:
        return [delta async for delta in deltas]


CALLS = {
    "chat": lambda providers: stream(providers, ChatTask(kind="chat", message="hi")),
    "completion": lambda providers: stream(providers, CompletionTask(kind="completion", body={"messages": MESSAGES})),
    "response": lambda providers: stream(providers, ResponseTask(kind="response", body={"input": "hi"})),
    "embeddings": lambda providers: providers.embed(EmbeddingsTask(kind="embeddings", input=("a",)), TIMEOUTS),
    "models": lambda providers: providers.models(),
}


@pytest.fixture(scope="module")
def servers():
    with answering_server() as configured, answering_server() as elsewhere:
        yield configured, elsewhere


def error_of(url, call):
    async def run():
        providers = Providers(Settings(OPENAI_BASE_URL=url, OPENAI_API_KEY="sk-x"))
        try:
            await call(providers)
        finally:
            await providers.close()

    with pytest.raises(AttemptError) as failed:
        asyncio.run(run())
    return failed.value


@pytest.mark.parametrize("status", REDIRECTS)
@pytest.mark.parametrize("name", CALLS)
def test_no_call_follows_a_redirect(servers, name, status):
    """The prompt and the key are for the configured address; where the redirect leads is not for the caller."""
    configured, elsewhere = servers
    configured.received.clear()
    configured.reply = status, {"Location": f"{elsewhere.url}/chat/completions"}, b'{"error": "moved to canary-7e"}'

    error = error_of(configured.url, CALLS[name])

    assert (type(error), error.code, error.fault) == (ProviderRejected, "provider_redirected", ProviderFault.DENIED)
    assert f"answered {status}: redirects are not followed" in error.message
    assert error.provider_error is None
    assert len(configured.received) == 1
    assert elsewhere.received == []


@pytest.mark.parametrize("name", ["chat", "models"])
def test_a_redirect_to_the_same_server_is_not_followed_either(servers, name):
    """One rule for all: a redirect to a path may lead to another owner as well."""
    configured, _ = servers
    configured.received.clear()
    configured.reply = 307, {"Location": "/v1/elsewhere"}, b""

    assert error_of(configured.url, CALLS[name]).code == "provider_redirected"
    assert len(configured.received) == 1
