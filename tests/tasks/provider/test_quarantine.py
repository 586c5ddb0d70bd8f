"""The quarantine process ends with its worker, and ignores signals that are sent to the worker's process group."""

import asyncio
import json
import signal
import subprocess
import sys
import time
from contextlib import aclosing
from dataclasses import asdict

import psutil
import pytest

from jobs.errors import (
    AttemptCrashed,
    DeadlineExceeded,
    ProviderError,
    ProviderFault,
    ProviderRejected,
    ProviderRetryable,
    WorkerLost,
)
from jobs.kinds.chat import ChatTask
from jobs.kinds.completion import CompletionTask
from jobs.kinds.response import ResponseTask
from jobs.settings import get_settings
from tasks.provider.providers import Providers
from tasks.provider.quarantine import Quarantine
from tasks.provider.timeouts import Timeouts
from tests.support.offline_model import calls, directive, key
from tests.support.waiting import until

pytestmark = pytest.mark.slow

TIMEOUTS = Timeouts(total=30, first_token=30, idle=30)
RESPONSE = ResponseTask(kind="response", body={"input": "[[offline say=hi]]"})
COMPLETION = CompletionTask(kind="completion", body={"messages": [{"role": "user", "content": "[[offline say=hi]]"}]})


@pytest.fixture(autouse=True)
def provider(model_url, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", model_url)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


def child():
    """The quarantine process that runs for this test."""
    return until(lambda: next(iter(_children()), None))


def _children():
    return [process for process in psutil.Process().children() if "tasks.provider.quarantine" in process.cmdline()]


async def _chat(message, on_first=lambda: None):
    texts = []
    async with aclosing(Quarantine(1).chat(ChatTask(kind="chat", message=message), TIMEOUTS)) as deltas:
        async for delta in deltas:
            if not texts:
                on_first()
            texts.append(delta.text)
    return "".join(texts)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_signal_to_the_whole_group_does_not_end_the_call(number):
    """systemd and Ctrl-C signal every process of the worker; the worker alone decides about the call."""
    text = asyncio.run(_chat("[[offline tokens=5 interval=0.1]] hi", lambda: child().send_signal(number)))

    assert text == "w0 w1 w2 w3 w4"


def test_a_stop_signal_while_the_child_starts_is_not_blamed_on_the_job(monkeypatch):
    """A starting child cannot ignore the signal yet; the job gets another attempt instead of `worker_lost`."""

    async def killed_while_starting(*_args, **options):
        return await real("sleep", "30", **options)

    real = asyncio.create_subprocess_exec
    monkeypatch.setattr(asyncio, "create_subprocess_exec", killed_while_starting)

    async def run():
        chat = asyncio.create_task(_chat("hi"))
        sleeper = await asyncio.to_thread(
            until, lambda: [p for p in psutil.Process().children() if "sleep" in p.name()]
        )
        sleeper[0].terminate()
        await chat

    with pytest.raises(AttemptCrashed):
        asyncio.run(run())


def test_a_job_that_kills_its_quarantine_process_is_worker_lost():
    """The job is the only one in its process, so it is proven to be the cause."""
    with pytest.raises(WorkerLost):
        asyncio.run(_chat("[[offline tokens=50 interval=0.1]] hi", lambda: child().kill()))


@pytest.mark.parametrize(
    "request_",
    [RESPONSE, COMPLETION, ChatTask(kind="chat", message="[[offline say=hi]]")],
    ids=lambda request: request.kind,
)
def test_every_kind_of_conversation_works_in_quarantine(request_):
    """Text, usage, data and body cross the pipe unchanged."""

    async def read(provider):
        async with aclosing(provider.chat(request_, TIMEOUTS)) as deltas:
            return [delta async for delta in deltas]

    async def run():
        provider = Providers(get_settings())
        try:
            return await read(Quarantine(1)), await read(provider)
        finally:
            await provider.close()

    quarantined, direct = asyncio.run(run())

    assert "".join(delta.text for delta in quarantined) == "hi"
    assert [(delta.text, delta.usage) for delta in quarantined] == [(delta.text, delta.usage) for delta in direct]
    assert [delta.data for delta in quarantined] == [delta.data for delta in direct]
    assert (quarantined[-1].body is None) == (request_.kind == "chat")


def test_an_error_crosses_the_pipe_with_the_providers_fault():
    """A fault of the provider is the same fault if the call was made in quarantine."""
    with pytest.raises(ProviderRetryable) as failed:
        asyncio.run(_chat("[[offline status=429 retry_after=7]] hi"))

    assert (failed.value.fault, failed.value.retry_after_seconds) == (ProviderFault.RATE_LIMITED, 7)
    assert isinstance(failed.value.fault, ProviderFault)


def test_an_error_crosses_the_pipe_with_what_the_provider_reported():
    """The caller gets the same error, whether or not the call was made in quarantine."""
    with pytest.raises(ProviderRejected) as failed:
        asyncio.run(_chat("[[offline status=400]] hi"))

    assert isinstance(failed.value.provider_error, ProviderError)
    assert failed.value.provider_error.type == "invalid_request_error"
    assert failed.value.provider_error.message


def test_the_child_ends_when_its_worker_is_gone(model_url):
    """This holds even while the provider is silent: otherwise the call would continue beside its retry."""
    name = key()
    request = ChatTask(kind="chat", message=directive("delay=30", name))
    job_input = _job_input(request)
    with subprocess.Popen(
        [sys.executable, "-m", "tasks.provider.quarantine"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        process.stdin.write(job_input)
        process.stdin.flush()
        until(lambda: calls(model_url, name)["open"] == 1)
        assert process.poll() is None
        process.stdin.close()
        started = time.monotonic()
        process.wait(10)

    assert time.monotonic() - started < 5


def _job_input(request):
    return (
        json.dumps({"request": request.model_dump(mode="json"), "timeouts": asdict(TIMEOUTS), "target": ""}).encode()
        + b"\n"
    )


def test_waiting_for_a_quarantine_slot_counts_towards_the_deadline():
    """When all slots are taken, the deadline still ends the job."""

    async def run():
        quarantine = Quarantine(1)
        await quarantine._process_slots.acquire()
        timeouts = Timeouts(total=0.2, first_token=30, idle=30, is_deadline=True)
        async with aclosing(quarantine.chat(ChatTask(kind="chat", message="hi"), timeouts)) as deltas:
            async for _ in deltas:
                pass

    with pytest.raises(DeadlineExceeded):
        asyncio.run(run())


def test_waiting_for_a_slot_reduces_only_the_deadline():
    """The provider's timeouts start with the call."""
    assert Timeouts(total=10, first_token=5, idle=5, is_deadline=True).after(4).total == 6
    assert Timeouts(total=10, first_token=5, idle=5).after(4).total == 10
