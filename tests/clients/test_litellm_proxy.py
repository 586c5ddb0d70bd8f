"""LiteLLM's proxy as the provider: in front of the offline model, or with mocked answers."""

import sys
from collections.abc import Iterator

import pytest

from tests.clients.installed import FOLDER, LITELLM_ENV, run, script
from tests.support.processes import free_port, running
from tests.support.stack import Stack, serving

KEY = "sk-of-the-proxy-and-long-enough-to-be-accepted"
START_SECONDS = 90.0  # most of it is spent on imports

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]  # the start counts as part of the first test


@pytest.fixture(scope="module")
def proxy_url(model_url: str, responses_model_url: str) -> Iterator[str]:
    port = free_port()
    args = [script("litellm", "litellm"), "--config", str(FOLDER / "litellm_proxy.yaml")]
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
def proxied_stack(request: pytest.FixtureRequest, redis_url: str, proxy_url: str) -> Iterator[Stack]:
    """A stack whose provider is the proxy. The parameter is the provider API that chatqueue uses."""
    settings = {"OPENAI_API_KEY": KEY, "CHATQUEUE_PROVIDER_API": request.param, "CHATQUEUE_MAX_ATTEMPTS": "2"}
    with serving(redis_url, proxy_url, **settings) as stack, stack.worker():
        yield stack


@pytest.mark.parametrize(
    ("proxied_stack", "model"), [("chat", "gpt-5-mini"), ("responses", "translated")], indirect=["proxied_stack"]
)
def test_a_program_runs_through_the_proxy(proxied_stack, model):
    """Every step of the program works, also where the proxy translates responses to chat completions itself."""
    output = run(sys.executable, "program.py", url=proxied_stack.url, MODEL=model, WITHOUT_QUOTA="1")

    assert output.count("\nok ") == 25


@pytest.mark.parametrize("proxied_stack", ["responses"], indirect=True)
def test_responses_pass_through_the_proxy(proxied_stack):
    """Streams, cancels, tool calls and parsed answers survive a proxy between chatqueue and the model."""
    steps = ("stream", "cut_and_resume", "cancel_while_it_runs", "call_function", "stream_call", "parse")
    output = run(sys.executable, "program.py", *steps, url=proxied_stack.url)

    assert output.count("\nok ") == len(steps)


@pytest.mark.parametrize("proxied_stack", ["chat"], indirect=True)
def test_a_mocked_answer_of_the_proxy_arrives(proxied_stack):
    """The proxy mocks an answer without a model behind it; waiting and streaming both return its text."""
    with proxied_stack.client() as client:
        messages = [{"role": "user", "content": "hello"}]
        waited = client.responses.create(model="mocked", input="hello")
        chunks = list(client.chat.completions.create(model="mocked", messages=messages, stream=True))

    streamed = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert waited.output_text == streamed == "An answer that the proxy made up."


@pytest.mark.parametrize("proxied_stack", ["auto"], indirect=True)
def test_a_model_without_responses_is_reached_although_the_proxy_takes_it_out_of_service(proxied_stack):
    """A 404 takes the model out of service in the proxy, so /responses must not be probed before each attempt."""
    with proxied_stack.client() as client:
        assert client.responses.create(model="without-responses", input="hello").status == "completed"
