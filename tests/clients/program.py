"""The steps of a program written for OpenAI. It contains nothing specific to chatqueue.

    OPENAI_BASE_URL=http://127.0.0.1:5000/v1 OPENAI_API_KEY=any python program.py [step ...]

Runs with any `openai` from 2.8 on, against any server. Without names it runs every step. Directives in its prompts
make the offline model cause errors, call functions or take time; any other model reads them as part of the prompt.
"""

import asyncio
import base64
import itertools
import json
import os
import struct
import sys
import time
from functools import partial

import openai
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

MODEL = os.environ.get("MODEL", "gpt-5-mini")
EMBEDDING_MODEL = os.environ.get("EMBEDDING_MODEL", "text-embedding-3-small")
COUNT = "[[offline tokens=12 interval=0.03]] Count to twelve in words, separated by spaces."
ENDLESS = "[[offline tokens=5000 interval=0.05]] Tell a very long story."
ASK_FOR_CALL = "[[offline call=1]] How is the weather in Rome? Call the function."
WEATHER = {
    "name": "weather",
    "description": "The weather in a city.",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}


class City(BaseModel):
    name: str
    people: int
    rivers: list[str]


def joined_text(events):
    return "".join(event.delta for event in events if event.type == "response.output_text.delta")


def numbers(events):
    return [event.sequence_number for event in events]


def create(client):
    response = client.responses.create(model=MODEL, input="Say hello.", instructions="Be brief.", metadata={"a": "b"})
    assert (response.status, response.metadata) == ("completed", {"a": "b"})
    assert response.output_text
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens


def create_and_read_headers(client):
    raw = client.responses.with_raw_response.create(model=MODEL, input="Say hello.")
    assert raw.headers["x-request-id"] == raw.parse()._request_id


def poll(client):
    response = client.responses.create(model=MODEL, input=COUNT, background=True)
    assert response.status == "queued"
    while response.status in {"queued", "in_progress"}:
        time.sleep(0.1)
        response = client.responses.retrieve(response.id)
    assert response.status == "completed"
    assert response.output_text


def stream(client):
    events = list(client.responses.create(model=MODEL, input=COUNT, stream=True))
    assert numbers(events) == list(range(len(events)))
    assert (events[0].type, events[-1].type) == ("response.created", "response.completed")
    assert joined_text(events) == events[-1].response.output_text


def stream_with_helper(client):
    with client.responses.stream(model=MODEL, input=COUNT) as streamed:
        snapshots = [event.snapshot for event in streamed if event.type == "response.output_text.delta"]
        assert snapshots[-1] == streamed.get_final_response().output_text


def cut_and_resume(client):
    cut = client.responses.create(model=MODEL, input=COUNT, background=True, stream=True)
    head = list(itertools.islice(cut, 9))
    cut.close()
    rest = list(client.responses.retrieve(head[0].response.id, stream=True, starting_after=head[-1].sequence_number))
    assert numbers(head + rest) == list(range(len(head + rest)))
    assert joined_text(head + rest) == rest[-1].response.output_text


def resume_with_helper(client):
    response = client.responses.create(model=MODEL, input=COUNT, background=True)
    with client.responses.stream(response_id=response.id, starting_after=5) as streamed:
        assert next(streamed).sequence_number == 6
        assert streamed.get_final_response().output_text


def cancel_at_once(client):
    response = client.responses.create(model=MODEL, input=ENDLESS, background=True)
    assert client.responses.cancel(response.id).status == "cancelled"
    assert client.responses.cancel(response.id).status == "cancelled"


def cancel_while_it_runs(client):
    streamed = client.responses.create(model=MODEL, input=ENDLESS, background=True, stream=True)
    head = list(itertools.islice(streamed, 9))
    cancelled = client.responses.cancel(head[0].response.id)
    rest = list(streamed)
    assert cancelled.status == client.responses.retrieve(cancelled.id).status == "cancelled"
    assert joined_text(head + rest).startswith(joined_text(head))


def delete(client):
    ended = client.responses.create(model=MODEL, input="Say hello.")
    running = client.responses.create(model=MODEL, input=ENDLESS, background=True)
    for response in (ended, running):
        client.responses.delete(response.id)
        refused(openai.NotFoundError, lambda known=response: client.responses.retrieve(known.id))


def list_input_items(client):
    given = [{"role": "user", "content": f"message {number}"} for number in range(3)]
    response = client.responses.create(model=MODEL, input=given)
    listed = list(client.responses.input_items.list(response.id, limit=1, order="asc"))
    assert [item.content[0].text for item in listed] == ["message 0", "message 1", "message 2"]


def continue_conversation(client):
    first = client.responses.create(model=MODEL, input="My name is Ada.")
    second = client.responses.create(model=MODEL, input="What is my name?", previous_response_id=first.id)
    assert second.previous_response_id == first.id
    assert second.usage.input_tokens > first.usage.input_tokens


def call_function(client):
    tools = [{"type": "function", **WEATHER}]
    asked = client.responses.create(model=MODEL, input=ASK_FOR_CALL, tools=tools)
    call = next(item for item in asked.output if item.type == "function_call")
    assert json.loads(call.arguments).keys() == {"city"}
    output = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    on_record = client.responses.create(model=MODEL, input=[output], previous_response_id=asked.id, tools=tools)
    by_hand = [{"role": "user", "content": ASK_FOR_CALL}, *asked.output, output]
    assert on_record.output_text
    assert client.responses.create(model=MODEL, input=by_hand, tools=tools).output_text


def stream_call(client):
    tools = [{"type": "function", **WEATHER}]
    with client.responses.stream(model=MODEL, input=ASK_FOR_CALL, tools=tools) as streamed:
        deltas = [event.delta for event in streamed if event.type == "response.function_call_arguments.delta"]
        final = streamed.get_final_response()
    call = next(item for item in final.output if item.type == "function_call")
    assert json.loads("".join(deltas)) == json.loads(call.arguments)


def parse(client):
    asked = {"model": MODEL, "input": "Name a city.", "text_format": City}
    assert isinstance(client.responses.parse(**asked).output_parsed, City)
    with client.responses.stream(**asked) as streamed:
        assert isinstance(streamed.get_final_response().output_parsed, City)


def chat(client):
    completion = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "Say hello."}])
    assert completion.choices[0].message.content
    assert completion.choices[0].finish_reason == "stop"
    assert completion.usage.total_tokens


def stream_chat(client):
    asked = {"model": MODEL, "messages": [{"role": "user", "content": COUNT}]}
    chunks = list(client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1])
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert (chunks[-1].choices, chunks[-1].usage.total_tokens > 0) == ([], True)
    with client.chat.completions.stream(**asked) as streamed:
        assert streamed.get_final_completion().choices[0].message.content


def call_function_in_chat(client):
    messages = [{"role": "user", "content": ASK_FOR_CALL}]
    asked = {"model": MODEL, "messages": messages, "tools": [{"type": "function", "function": WEATHER}]}
    message = client.chat.completions.create(**asked).choices[0].message
    with client.chat.completions.stream(**asked) as streamed:
        again = streamed.get_final_completion().choices[0].message
    assert again.tool_calls[0].function.parsed_arguments == json.loads(message.tool_calls[0].function.arguments)
    messages += [message, {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "sunny"}]
    assert client.chat.completions.create(**asked).choices[0].message.content


def parse_chat(client):
    messages = [{"role": "user", "content": "Name a city."}]
    completion = client.chat.completions.parse(model=MODEL, messages=messages, response_format=City)
    assert isinstance(completion.choices[0].message.parsed, City)


def embed(client):
    texts = ["first text", "second"]
    default = client.embeddings.create(model=EMBEDDING_MODEL, input=texts)
    floats = client.embeddings.create(model=EMBEDDING_MODEL, input=texts, encoding_format="float")
    packed = client.embeddings.create(model=EMBEDDING_MODEL, input=texts, encoding_format="base64")
    vectors = [row.embedding for row in default.data]
    assert [row.index for row in default.data] == [0, 1]
    assert vectors == [row.embedding for row in floats.data] == [unpacked(row.embedding) for row in packed.data]
    assert default.usage.prompt_tokens


def unpacked(text):
    data = base64.b64decode(text)
    return list(struct.unpack(f"<{len(data) // 4}f", data))


def list_models(client):
    listed = [model.id for model in client.models.list()]
    assert MODEL in listed
    assert client.models.retrieve(MODEL).id == MODEL


def refused(kind, call):
    try:
        call()
    except openai.APIError as error:
        if type(error) is kind:
            return error
        raise AssertionError(f"{type(error).__name__} in place of {kind.__name__}") from error
    raise AssertionError(f"no {kind.__name__}")


def raise_client_errors(client):
    """Errors of the API and the client: bad requests, unknown ids, timeouts, no server."""
    bad = refused(openai.BadRequestError, lambda: client.responses.create(model=MODEL, input=5))
    assert (bad.status_code, bad.param, bool(bad.code), bool(bad.request_id)) == (400, "input", True, True)
    refused(openai.NotFoundError, lambda: client.responses.retrieve("resp_" + "0" * 32))
    refused(openai.NotFoundError, lambda: client.models.retrieve("no-such-model"))
    impatient = client.with_options(timeout=0.5, max_retries=0)
    refused(openai.APITimeoutError, lambda: impatient.responses.create(model=MODEL, input=ENDLESS))
    unreachable = client.with_options(base_url="http://127.0.0.1:9/v1", max_retries=0)
    refused(openai.APIConnectionError, unreachable.models.list)
    once = client.with_options(default_headers={"Idempotency-Key": os.urandom(8).hex()})
    assert once.responses.create(model=MODEL, input="a").id == once.responses.create(model=MODEL, input="a").id
    refused(openai.BadRequestError, lambda: once.responses.create(model=MODEL, input="b"))


def raise_provider_errors(client):
    """Provider errors, with and without streaming. Streamed calls raise them before the first event."""
    errors = {
        "status=400": openai.BadRequestError,
        "status=404": openai.NotFoundError,
        "status=429 code=insufficient_quota": openai.RateLimitError,
        "status=500": openai.InternalServerError,
    }
    if "WITHOUT_QUOTA" in os.environ:  # the provider does not tell it from a rate limit, which is waited for
        del errors["status=429 code=insufficient_quota"]
    for words, kind in errors.items():
        prompt = f"[[offline {words}]]"
        messages = [{"role": "user", "content": prompt}]
        for how in ({}, {"stream": True}):
            refused(kind, partial(client.responses.create, model=MODEL, input=prompt, **how))
            client.responses.create(model=MODEL, input="hello")  # a provider that only fails is waited for
            refused(kind, partial(client.chat.completions.create, model=MODEL, messages=messages, **how))
            client.responses.create(model=MODEL, input="hello")
        refused(kind, partial(client.embeddings.create, model=EMBEDDING_MODEL, input=prompt))


def report_errors_in_streams(client):
    """A background stream starts before the error, so its last event contains the error."""
    *_, last = client.responses.create(model=MODEL, input="[[offline status=400]]", background=True, stream=True)
    assert (last.type, last.response.error.code) == ("response.failed", "invalid_prompt")


def work_concurrently(_client):
    async def ask(client):
        streamed = await client.responses.create(model=MODEL, input=COUNT, stream=True)
        return joined_text([event async for event in streamed])

    async def ask_often():
        async with AsyncOpenAI() as client:
            return await asyncio.gather(*(ask(client) for _ in range(10)))

    assert len(set(asyncio.run(ask_often()))) == 1


STEPS = (
    *(create, create_and_read_headers, poll, stream, stream_with_helper, cut_and_resume, resume_with_helper),
    *(cancel_at_once, cancel_while_it_runs, delete, list_input_items, continue_conversation),
    *(call_function, stream_call, parse, chat, stream_chat, call_function_in_chat, parse_chat, embed, list_models),
    *(raise_client_errors, raise_provider_errors, report_errors_in_streams, work_concurrently),
)


def main(names):
    print(f"openai {openai.__version__}", flush=True)
    with OpenAI() as client:
        for step in STEPS:
            if not names or step.__name__ in names:
                step(client)
                print(f"ok {step.__name__}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
