"""A provider that no one here wrote: LiteLLM's proxy, before the offline model or with answers that it makes up."""

import sys
from collections.abc import Iterator

import pytest

from tests.clients.installed import LITELLM_ENV, ROOM, run, script
from tests.support.processes import free_port, running
from tests.support.stack import Stack, serving

KEY = "sk-of-the-proxy-and-long-enough-to-be-accepted"
START_SECONDS = 90.0  # of which it spends most on imports

pytestmark = pytest.mark.timeout(300)  # that start is part of a test's time


@pytest.fixture(scope="module")
def proxy_url(model_url: str, responses_model_url: str) -> Iterator[str]:
    port = free_port()
    args = [script("litellm", "litellm"), "--config", str(ROOM / "litellm_proxy.yaml")]
    env = {
        **LITELLM_ENV,
        "LITELLM_MASTER_KEY": KEY,
        "OFFLINE_MODEL_URL": responses_model_url,
        "OFFLINE_CHAT_MODEL_URL": model_url,
    }
    listening = ["--host", "127.0.0.1", "--port", str(port)]
    with running([*args, *listening], ready="Uvicorn running on", env=env, seconds=START_SECONDS):
        yield f"http://127.0.0.1:{port}/v1"


@pytest.fixture(scope="module")
def stack(request: pytest.FixtureRequest, redis_url: str, proxy_url: str) -> Iterator[Stack]:
    """Before the proxy, which is asked in the way that the parameter names."""
    settings = {"OPENAI_API_KEY": KEY, "CHATQUEUE_PROVIDER_API": request.param, "CHATQUEUE_MAX_ATTEMPTS": "2"}
    with serving(redis_url, proxy_url, **settings) as stack, stack.worker():
        yield stack


@pytest.mark.parametrize(("stack", "model"), [("chat", "gpt-5-mini"), ("responses", "translated")], indirect=["stack"])
def test_a_program_runs_through_the_proxy(stack, model):
    """Also where the responses are the proxy's own, made of chat completions."""
    told = run(sys.executable, "program.py", url=stack.url, MODEL=model)

    assert told.count("\nok ") == 25


@pytest.mark.parametrize("stack", ["responses"], indirect=True)
def test_responses_pass_through_the_proxy(stack):
    steps = ("stream", "cut_and_resume", "cancel_while_it_runs", "call_function", "stream_call", "parse")
    told = run(sys.executable, "program.py", *steps, url=stack.url)

    assert told.count("\nok ") == len(steps)


@pytest.mark.parametrize("stack", ["chat"], indirect=True)
def test_an_answer_that_the_proxy_makes_up_arrives(stack):
    with stack.client() as client:
        messages = [{"role": "user", "content": "hello"}]
        waited = client.responses.create(model="mocked", input="hello")
        chunks = list(client.chat.completions.create(model="mocked", messages=messages, stream=True))

    streamed = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert waited.output_text == streamed == "An answer that the proxy made up."


@pytest.mark.parametrize("stack", ["auto"], indirect=True)
def test_a_model_without_responses_is_reached_although_the_proxy_puts_it_aside(stack):
    """A 404 takes it out of service there: the question for /responses must not be asked before each attempt."""
    with stack.client() as client:
        assert client.responses.create(model="without-responses", input="hello").status == "completed"
