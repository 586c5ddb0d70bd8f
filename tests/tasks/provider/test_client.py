"""The provider adapter, through the real SDK to the offline model: answers, and each fault translated once."""

import asyncio
from contextlib import aclosing

import pytest

from jobs.errors import AttemptError, DeadlineExceeded, ProviderBroken, ProviderRejected, ProviderRetryable
from jobs.kinds.chat import ChatTask
from jobs.kinds.embeddings import EmbeddingsTask
from jobs.kinds.response import ResponseTask
from jobs.requests import Message
from jobs.settings import Settings
from jobs.vectors import unpack
from tasks.provider.client import Provider
from tasks.provider.timeouts import Timeouts
from tests.offline import calls, directive, key
from tests.processes import free_port

CANARY = "canary-8f3a"
LONG_TIMEOUTS = {"total": 20.0, "first_token": 10.0, "idle": 10.0}


def provide(base_url, work, **values):
    """Run ``work`` with a provider on a loop of its own."""

    async def run():
        settings = Settings(OPENAI_BASE_URL=base_url, OPENAI_API_KEY=f"sk-{CANARY}", **values)
        provider = Provider(settings)
        try:
            return await work(provider)
        finally:
            await provider.close()

    return asyncio.run(run())


def chat(base_url, message, *, request=None, timeouts=None, **values):
    async def work(provider):
        asked = request or ChatTask(kind="chat", message=message)
        async with aclosing(provider.chat(asked, Timeouts(**LONG_TIMEOUTS | (timeouts or {})))) as deltas:
            return [delta async for delta in deltas]

    return provide(base_url, work, **values)


def test_an_answer_streams_in_pieces_with_reason_model_and_usage(model_url):
    deltas = chat(model_url, "[[offline tokens=5]] hi", chat_model="a-model")

    assert "".join(delta.text for delta in deltas) == "w0 w1 w2 w3 w4"
    assert [delta.finish_reason for delta in deltas if delta.finish_reason] == ["stop"]
    assert deltas[-1].usage.output_tokens == 5
    assert deltas[0].model == "a-model"


def test_a_cut_answer_says_why(model_url):
    request = ChatTask(kind="chat", message="[[offline tokens=50]]", max_output_tokens=3)

    deltas = chat(model_url, "", request=request)
    assert [delta.finish_reason for delta in deltas if delta.finish_reason] == ["length"]


def test_a_conversation_reaches_the_provider_whole(model_url):
    """System text, earlier turns and options are accepted by a strict server."""
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
def test_each_fault_has_one_translation(model_url, words, kind, code, retry_after):
    """Kind, stable code and Retry-After; neither prompt nor key in anything it carries; and exactly one call."""
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


def test_no_server_is_retryable():
    with pytest.raises(ProviderRetryable) as failed:
        chat(f"http://127.0.0.1:{free_port()}/v1", "hi")
    assert failed.value.code == "provider_unreachable"


def test_a_call_that_drips_for_ever_is_ended(model_url):
    """Each token resets the idle limit; the total limit ends the call all the same."""
    with pytest.raises(ProviderRetryable) as failed:
        chat(
            model_url,
            "[[offline tokens=1000 interval=0.05]]",
            timeouts={"idle": 0.4, "total": 0.5},
        )
    assert failed.value.code == "provider_timeout"


def test_each_kind_of_patience_has_its_end(model_url):
    """The first token may take longer than the silence between two; a job's deadline has a code of its own."""
    slow_start = "[[offline delay=0.6 say=ok]]"
    assert chat(model_url, slow_start, timeouts={"idle": 0.2})

    with pytest.raises(ProviderRetryable) as failed:
        chat(model_url, slow_start, timeouts={"first_token": 0.2})
    assert failed.value.code == "provider_timeout"
    with pytest.raises(DeadlineExceeded) as failed:
        chat(model_url, slow_start, timeouts={"total": 0.2, "is_deadline": True})
    assert failed.value.code == "deadline_exceeded"


def test_embeddings_keep_their_order(model_url):
    """Vectors come back as float32 in the order of the texts."""
    texts = ("first text", "second text", "first text")

    async def work(provider):
        return await provider.embed(EmbeddingsTask(kind="embeddings", input=texts), Timeouts(**LONG_TIMEOUTS))

    answer = provide(model_url, work)
    first, second, third = answer.vectors
    assert first == third != second
    assert len(unpack(first)) == 384
    assert answer.usage.input_tokens == 6


def test_an_embeddings_fault_is_translated_too(model_url):
    async def work(provider):
        return await provider.embed(
            EmbeddingsTask(kind="embeddings", input=("[[offline status=429]]",)), Timeouts(**LONG_TIMEOUTS)
        )

    with pytest.raises(ProviderRetryable):
        provide(model_url, work)


RESPONSE = ResponseTask(kind="response", body={"input": "[[offline say=hi]]"})


async def _text(provider, request=RESPONSE):
    async with aclosing(provider.chat(request, Timeouts(**LONG_TIMEOUTS))) as deltas:
        return "".join([delta.text async for delta in deltas])


def test_a_provider_without_responses_is_found_out_once(model_url):
    """Then it is asked the other way, at once."""

    async def work(provider):
        asked = []
        send = provider._send
        provider._send = lambda call: (asked.append(call.path), send(call))[1]
        return [await _text(provider), await _text(provider)], asked

    assert provide(model_url, work) == (
        ["hi", "hi"],
        ["/responses", "/chat/completions", "/chat/completions"],
    )


def test_a_provider_that_is_said_to_speak_responses_is_asked_no_other_way(model_url):
    with pytest.raises(ProviderRejected):
        provide(model_url, _text, provider_api="responses")


@pytest.mark.parametrize(("status", "speaks"), [(503, "auto"), (404, "chat"), (429, "chat")])
def test_a_refusal_the_other_way_tells_what_a_provider_speaks_and_a_failure_does_not(model_url, status, speaks):
    """Behind some proxies each question that cannot be answered keeps the model away from the next one, too."""

    async def work(provider):
        request = ResponseTask(kind="response", body={"input": f"[[offline status={status}]]"})
        with pytest.raises((ProviderRetryable, ProviderRejected)):
            await _text(provider, request)
        return provider._api_format

    assert provide(model_url, work) == speaks
