"""The unmodified client's text completions, which evaluation programs use."""

import json
import urllib.request

import openai
import pytest

from tests.support.offline_model import calls, directive, key
from tests.support.stack import serving
from tests.support.waiting import until


@pytest.fixture(scope="module")
def stack(redis_url, model_url, processes):
    """One provider: /completions does not depend on its other APIs."""
    with serving(redis_url, model_url) as stack:
        yield stack


def ask(client, prompt, **more):
    return client.completions.create(model="m", prompt=prompt, **more)


def sent(body):
    """A completion without what differs between two servers: its id and its time."""
    return {name: value for name, value in body.to_dict().items() if name not in ("id", "created")}


@pytest.fixture
def model(stack):
    """The provider itself."""
    with openai.OpenAI(base_url=stack.model_url, api_key="any", max_retries=0) as client:
        yield client


@pytest.mark.parametrize(
    "request_body",
    [
        {"prompt": "[[offline tokens=4]]"},
        {"prompt": ["[[offline tokens=4]]", "b"], "n": 2, "stop": " w2"},
        {"prompt": [1, 2, 3]},
        {"prompt": [[1, 2, 3], [4]], "echo": True, "logprobs": 1, "max_tokens": 1},
        {"prompt": "a b", "echo": True, "logprobs": 0, "max_tokens": 0},
        {"prompt": "a b", "best_of": 3, "suffix": " c", "logprobs": 2, "seed": 5, "extra_body": {"top_k": 5}},
    ],
    ids=str,
)
def test_a_completion_is_as_the_provider_sent_it(client, model, request_body):
    """Choices, log-probabilities and usage are unchanged, so an evaluation has the same result through the queue."""
    completion = ask(client, **request_body)

    assert sent(completion) == sent(ask(model, **request_body))
    assert completion.id.startswith("cmpl_")
    assert client.get(f"/completions/{completion.id}", cast_to=type(completion)).to_dict() == completion.to_dict()


@pytest.mark.parametrize("more", [{}, {"logprobs": 2}, {"echo": True, "logprobs": 1}, {"n": 2}], ids=str)
def test_a_stream_adds_up_to_the_whole_completion(client, more):
    """In each choice: text, log-probabilities and finish reason, and the usage if it is requested."""
    asked = {"prompt": ["a [[offline tokens=5 interval=0.01]]", "b"], "max_tokens": 4, **more}
    whole = ask(client, **asked)
    *chunks, last = ask(client, **asked, stream=True, stream_options={"include_usage": True})

    assert {chunk.id for chunk in chunks} == {last.id}
    assert {chunk.object for chunk in chunks} == {"text_completion"}
    choices = [choice for chunk in chunks for choice in chunk.choices]
    for expected in whole.choices:
        own = [choice for choice in choices if choice.index == expected.index]
        assert "".join(choice.text for choice in own) == expected.text
        assert [choice.finish_reason for choice in own if choice.finish_reason] == [expected.finish_reason]
        tokens = [token for choice in own if choice.logprobs for token in choice.logprobs.tokens]
        assert tokens == (expected.logprobs.tokens if expected.logprobs else [])
    assert (last.choices, last.usage) == ([], whole.usage)


def test_a_stream_without_usage_has_none(client):
    """Programs index the first choice of every chunk."""
    chunks = list(ask(client, "[[offline tokens=3]]", stream=True))

    assert all(chunk.choices for chunk in chunks)
    assert {chunk.usage for chunk in chunks} == {None}


def test_a_repeated_attempt_is_not_sent_twice(client):
    """The stream continues where the failed attempt stopped."""
    prompt = directive("tokens=12 interval=0.02 cut=5 times=1", key())
    chunks = list(ask(client, prompt, stream=True, max_tokens=50))

    assert "".join(chunk.choices[0].text for chunk in chunks) == " ".join(f"w{number}" for number in range(12))


@pytest.mark.parametrize("stream", [False, True])
def test_a_rejected_completion_raises_the_clients_own_class(client, stream):
    """With the provider's own message and parameter."""
    with pytest.raises(openai.BadRequestError) as refused:
        ask(client, "hi", logprobs=9, stream=stream)

    assert (refused.value.param, refused.value.code) == ("logprobs", "integer_above_max_value")


@pytest.mark.parametrize("prompt", [5, [], [5, "a"], ["a", 5], [[]], [["a"]], [True], {"a": 1}], ids=str)
def test_an_invalid_prompt_is_rejected_by_name(client, prompt):
    """Before it becomes a job."""
    with pytest.raises(openai.BadRequestError) as refused:
        ask(client, prompt)

    assert refused.value.param == "prompt"


def test_closing_a_stream_cancels_the_job(stack, client):
    """The provider's call is closed, so no further tokens are paid for."""
    name = key()
    stream = ask(client, directive("tokens=600 interval=0.05", name), stream=True, max_tokens=600)
    next(iter(stream))
    stream.close()

    until(lambda: calls(stack.model_url, name)["closed_early"] == 1)


def test_a_completion_is_a_job_like_any_other(stack, client):
    """It is made once for a key, and the other APIs show it."""
    once = client.with_options(default_headers={"Idempotency-Key": key()})
    completion = ask(once, "hello", max_tokens=50)
    response = client.responses.retrieve(completion.id)
    items = client.responses.input_items.list(completion.id).data
    with urllib.request.urlopen(f"{stack.url}/api/v1/tasks/{completion.id}", timeout=10) as reply:
        task = json.load(reply)

    assert ask(once, "hello", max_tokens=50).id == completion.id
    assert response.output_text == completion.choices[0].text
    assert items[0].content[0].text == "hello"
    assert (task["kind"], task["usage"]["input_tokens"]) == ("text_completion", 1)
