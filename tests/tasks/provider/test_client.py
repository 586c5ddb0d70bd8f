"""The provider adapter, through the real SDK to the offline model: answers, and the translation of each fault."""

import asyncio
from contextlib import aclosing
from typing import Any

import pytest

from jobs.errors import AttemptError, DeadlineExceeded, ProviderBroken, ProviderRejected, ProviderRetryable
from jobs.kinds.chat import ChatTask
from jobs.kinds.embeddings import EmbeddingsTask
from jobs.kinds.response import ResponseTask
from jobs.requests import Message
from jobs.settings import Settings
from jobs.vector_encoding import unpack
from tasks.provider.providers import Providers
from tasks.provider.timeouts import Timeouts
from tests.support.offline_model import calls, directive, key
from tests.support.processes import free_port

CANARY = "canary-8f3a"
LONG_TIMEOUTS: dict[str, Any] = {"total": 20.0, "first_token": 10.0, "idle": 10.0}


def run_with_provider(base_url, work, **values):
    """Await ``work`` with a provider, on an event loop of its own."""

    async def run():
        settings = Settings(OPENAI_BASE_URL=base_url, OPENAI_API_KEY=f"sk-{CANARY}", **values)
        provider = Providers(settings)
        try:
            return await work(provider)
        finally:
            await provider.close()

    return asyncio.run(run())


def chat(base_url, message, *, request=None, timeouts=None, **values):
    async def work(provider):
        chat_request = request or ChatTask(kind="chat", message=message)
        async with aclosing(provider.chat(chat_request, Timeouts(**LONG_TIMEOUTS | (timeouts or {})))) as deltas:
            return [delta async for delta in deltas]

    return run_with_provider(base_url, work, **values)


def test_an_answer_streams_with_finish_reason_model_and_usage(model_url):
    """The deltas carry everything that the answer needs."""
    deltas = chat(model_url, "[[offline tokens=5]] hi", chat_model="a-model")

    assert "".join(delta.text for delta in deltas) == "w0 w1 w2 w3 w4"
    assert [delta.finish_reason for delta in deltas if delta.finish_reason] == ["stop"]
    assert deltas[-1].usage.output_tokens == 5
    assert deltas[0].model == "a-model"


def test_a_truncated_answer_has_the_finish_reason_length(model_url):
    """A client can tell an answer that was cut off from a complete one."""
    request = ChatTask(kind="chat", message="[[offline tokens=50]]", max_output_tokens=3)

    deltas = chat(model_url, "", request=request)
    assert [delta.finish_reason for delta in deltas if delta.finish_reason] == ["length"]


def test_a_strict_server_accepts_every_part_of_a_conversation(model_url):
    """System text, earlier messages and options are sent in the form that OpenAI accepts."""
    request = ChatTask(
        kind="chat",
        message="and now?",
        system="Be brief.",
        history=(Message(role="user", content="a"), Message(role="assistant", content="b")),
        model="m-1",
        temperature=0.5,
    )

    assert chat(model_url, "", request=request)


@pytest.mark.parametrize(
    ("words", "kind", "code", "retry_after"),
    [
        ("status=400", ProviderRejected, "provider_rejected_request", None),
        ("status=401", ProviderRejected, "provider_auth_failed", None),
        ("status=403", ProviderRejected, "provider_auth_failed", None),
        ("status=404", ProviderRejected, "provider_not_found", None),
        ("status=408", ProviderRetryable, "provider_unavailable", None),
        ("status=409", ProviderRetryable, "provider_unavailable", None),
        ("status=429 retry_after=7", ProviderRetryable, "provider_rate_limited", 7),
        ("status=429 retry_after=0.25", ProviderRetryable, "provider_rate_limited", 0.25),
        ("status=429 code=insufficient_quota", ProviderRejected, "provider_quota_exceeded", None),
        ("status=500", ProviderRetryable, "provider_unavailable", None),
        ("status=503 retry_after=2", ProviderRetryable, "provider_unavailable", 2),
        ("cut=2", ProviderRetryable, "provider_stream_cut", None),
        ("end=2", ProviderRetryable, "provider_stream_cut", None),
        ("stall=2", ProviderRetryable, "provider_timeout", None),
        ("garbage=1", ProviderBroken, "provider_broken", None),
        ("garbage=2", ProviderRetryable, "provider_stream_cut", None),
        ("garbage=3", ProviderBroken, "provider_broken", None),
    ],
)
def test_each_fault_is_translated_to_one_error_with_a_stable_code(model_url, words, kind, code, retry_after):
    """The error keeps Retry-After and contains neither prompt nor key; the SDK makes exactly one call."""
    name = key()

    with pytest.raises(AttemptError) as failed:
        chat(model_url, directive(words, name, text=CANARY), timeouts={"idle": 0.5})
    error = failed.value
    assert type(error) is kind
    assert error.code == code
    assert error.retry_after_seconds == retry_after
    assert CANARY not in f"{error!r} {error.message} {error.__cause__!r}"
    assert error.__suppress_context__ or error.__context__ is None
    assert calls(model_url, name)["calls"] == 1


def test_an_unreachable_server_is_retryable():
    """A provider that restarts must not fail any job."""
    with pytest.raises(ProviderRetryable) as failed:
        chat(f"http://127.0.0.1:{free_port()}/v1", "hi")
    assert failed.value.code == "provider_unreachable"


def test_the_total_timeout_ends_a_stream_that_never_idles(model_url):
    """Each token resets the idle timeout; only the total timeout ends such a call."""
    with pytest.raises(ProviderRetryable) as failed:
        chat(
            model_url,
            "[[offline tokens=1000 interval=0.05]]",
            timeouts={"idle": 0.4, "total": 0.5},
        )
    assert failed.value.code == "provider_timeout"


def test_each_timeout_applies_on_its_own(model_url):
    """The first token may take longer than later ones; the job's deadline has its own error code."""
    slow_start = "[[offline delay=0.6 say=ok]]"
    assert chat(model_url, slow_start, timeouts={"idle": 0.2})

    with pytest.raises(ProviderRetryable) as failed:
        chat(model_url, slow_start, timeouts={"first_token": 0.2})
    assert failed.value.code == "provider_timeout"
    with pytest.raises(DeadlineExceeded) as expired:
        chat(model_url, slow_start, timeouts={"total": 0.2, "is_deadline": True})
    assert expired.value.code == "deadline_exceeded"


def test_embeddings_keep_the_order_of_their_texts(model_url):
    """Vectors come back as float32 in the order of the texts."""
    texts = ("first text", "second text", "first text")

    async def work(provider):
        return await provider.embed(EmbeddingsTask(kind="embeddings", input=texts), Timeouts(**LONG_TIMEOUTS))

    answer = run_with_provider(model_url, work)
    first, second, third = answer.vectors
    assert first == third != second
    assert len(unpack(first)) == 384
    assert answer.usage.input_tokens == 6


def test_a_fault_of_an_embeddings_call_is_translated(model_url):
    """A rate limit delays an embeddings job as it does a chat."""

    async def work(provider):
        return await provider.embed(
            EmbeddingsTask(kind="embeddings", input=("[[offline status=429]]",)), Timeouts(**LONG_TIMEOUTS)
        )

    with pytest.raises(ProviderRetryable):
        run_with_provider(model_url, work)


RESPONSE = ResponseTask(kind="response", body={"input": "[[offline say=hi]]"})


async def _text(provider, request=RESPONSE):
    async with aclosing(provider.chat(request, Timeouts(**LONG_TIMEOUTS))) as deltas:
        return "".join([delta.text async for delta in deltas])


def test_a_provider_without_responses_is_called_there_only_once(model_url):
    """The first call falls back to /chat/completions immediately; later calls go there directly."""

    async def work(provider):
        paths = []
        client = provider._client("main")
        send = client._send
        client._send = lambda call, hooks: (paths.append(call.path), send(call, hooks))[1]
        return [await _text(provider), await _text(provider)], paths

    assert run_with_provider(model_url, work) == (
        ["hi", "hi"],
        ["/responses", "/chat/completions", "/chat/completions"],
    )


def test_provider_api_responses_allows_no_fallback(model_url):
    """An operator who sets CHATQUEUE_PROVIDER_API=responses gets an error instead of a translated call."""
    with pytest.raises(ProviderRejected):
        run_with_provider(model_url, _text, provider_api="responses")


@pytest.mark.parametrize(("status", "api_format"), [(503, "auto"), (404, "chat"), (429, "chat")])
def test_a_rejection_after_the_fallback_decides_the_format_and_a_server_error_does_not(model_url, status, api_format):
    """Some proxies take a model out of service after a 404, so /responses must not be called again needlessly."""

    async def work(provider):
        request = ResponseTask(kind="response", body={"input": f"[[offline status={status}]]"})
        with pytest.raises((ProviderRetryable, ProviderRejected)):
            await _text(provider, request)
        return provider._client("main")._support.api_format

    assert run_with_provider(model_url, work) == api_format
