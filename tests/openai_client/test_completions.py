"""The unmodified client's chat completions."""

import json

import openai
import pytest
from pydantic import BaseModel

from local.offline_model.framing import Framing
from tests.support.offline_model import calls, directive, key
from tests.support.waiting import until

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather somewhere.",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}


def chat_request(text, **more):
    return {"model": "m", "messages": [{"role": "user", "content": text}], **more}


def test_a_completion_is_returned_when_final(client):
    """A call without a stream returns the complete object."""
    completion = client.chat.completions.create(**chat_request("hello", temperature=0, seed=7, metadata={"a": "b"}))

    assert "no language model" in completion.choices[0].message.content
    assert completion.choices[0].finish_reason == "stop"
    assert completion.usage.total_tokens == 1 + completion.usage.completion_tokens
    assert client.chat.completions.retrieve(completion.id) == completion


def test_a_stream_has_its_usage_last_if_requested(client):
    """`include_usage` adds one chunk at the end."""
    plain = list(client.chat.completions.create(**chat_request("[[offline tokens=4 interval=0.05]]", stream=True)))
    counted = list(
        client.chat.completions.create(
            **chat_request("[[offline tokens=4 interval=0.05]]", stream=True, stream_options={"include_usage": True})
        )
    )

    for chunks in (plain, counted[:-1]):
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "w0 w1 w2 w3"
        assert chunks[0].choices[0].delta.role == "assistant"
        assert [chunk.choices[0].finish_reason for chunk in chunks] == [None] * (len(chunks) - 1) + ["stop"]
        assert {(chunk.id, chunk.model) for chunk in chunks} == {(chunks[0].id, "m")}
    assert (counted[-1].choices, counted[-1].usage.completion_tokens) == ([], 4)
    assert {chunk.usage for chunk in plain} == {None}


def test_the_stream_helper_works(client):
    """The client's own accumulator accepts every chunk."""
    with client.chat.completions.stream(**chat_request("[[offline tokens=9 interval=0.02]]")) as stream:
        final = stream.get_final_completion()

    assert final.choices[0].message.content == " ".join(f"w{number}" for number in range(9))


def test_a_function_call_and_its_output_round_trip(client):
    """The model's call reaches the client, and the output reaches the model."""
    request = chat_request("[[offline call=2]] How is the weather?", tools=[WEATHER, {**WEATHER}])
    message = client.chat.completions.create(**request).choices[0].message
    with client.chat.completions.stream(**request) as stream:
        streamed = stream.get_final_completion().choices[0]

    for called in (message, streamed.message):
        assert [call.function.name for call in called.tool_calls] == ["weather", "weather"]
        assert json.loads(called.tool_calls[0].function.arguments) == {"city": "offline"}
    assert streamed.finish_reason == "tool_calls"
    outputs = [{"role": "tool", "tool_call_id": call.id, "content": "sunny"} for call in message.tool_calls]
    request["messages"] += [message, *outputs]
    assert "no language model" in client.chat.completions.create(**request).choices[0].message.content


def test_structured_output_is_parsed(client):
    """The client's `parse` returns an instance of the model."""

    class City(BaseModel):
        name: str
        people: int

    completion = client.chat.completions.parse(**chat_request("Which city?"), response_format=City)

    assert completion.choices[0].message.parsed == City(name="offline", people=1)


def test_an_incomplete_completion_has_its_finish_reason(client):
    """A length limit is reported as `length`."""
    cut = client.chat.completions.create(**chat_request("[[offline tokens=9]]", max_completion_tokens=4)).choices[0]

    assert (cut.message.content, cut.finish_reason) == ("w0 w1 w2 w3", "length")


def test_a_repeated_attempt_is_not_sent_twice(client):
    """The next attempt repeats the text, and the stream continues where it stopped."""
    prompt = directive("tokens=12 interval=0.02 cut=5 times=1", key())
    chunks = list(client.chat.completions.create(**chat_request(prompt, stream=True)))

    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == " ".join(f"w{number}" for number in range(12))
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_a_rejected_streamed_completion_raises_the_clients_own_class(client):
    """The error comes as a status, since no event has been sent."""
    with pytest.raises(openai.BadRequestError) as raised:
        client.chat.completions.create(**chat_request("[[offline status=400]]", stream=True))

    assert raised.value.code == "provider_rejected_request"


def test_closing_a_stream_cancels_the_job(stack, client):
    """The provider's call is closed, so no further tokens are paid for."""
    name = key()
    stream = client.chat.completions.create(**chat_request(directive("tokens=600 interval=0.05", name), stream=True))
    next(iter(stream))
    stream.close()

    until(lambda: calls(stack.model_url, name)["closed_early"] == 1)


def texts(client, prompt):
    """The same question to each API, whole and streamed."""
    messages = [{"role": "user", "content": prompt}]
    stream = client.chat.completions.create(model="m", messages=messages, stream=True)
    return [
        client.chat.completions.create(model="m", messages=messages).choices[0].message.content,
        "".join(chunk.choices[0].delta.content or "" for chunk in stream),
        client.responses.create(model="m", input=prompt).output_text,
        client.completions.create(model="m", prompt=prompt).choices[0].text,
        "".join(chunk.choices[0].text for chunk in client.completions.create(model="m", prompt=prompt, stream=True)),
    ]


@pytest.mark.parametrize("framing", [kind for kind in Framing if kind is not Framing.NO_FINISH])
def test_a_framing_costs_no_answer_and_no_further_call(stack, client, framing):
    """The bytes of an answer decide, not their framing."""
    name = key()
    prompt = directive(f"tokens=3 framing={framing}", name)

    assert set(texts(client, prompt)) == {"w0 w1 w2"}
    assert calls(stack.model_url, name)["calls"] == 5


@pytest.mark.parametrize("fault", ["reset=2", "badchunk=2", "cut=2", "end=2", "error=2"])
def test_a_stream_that_breaks_once_is_repeated(stack, client, fault):
    """None of the tokens is sent twice."""
    name = key()
    messages = [{"role": "user", "content": directive(f"tokens=4 {fault} times=1", name)}]
    stream = client.chat.completions.create(model="m", messages=messages, stream=True)

    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "w0 w1 w2 w3"
    assert calls(stack.model_url, name)["calls"] == 2


def test_an_error_inside_a_200_is_that_error(client):
    """Not a broken answer, which would be retried."""
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "[[offline error=0 code=context_length_exceeded]]"}]
        )

    assert refused.value.code == "context_length_exceeded"
