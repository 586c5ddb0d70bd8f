"""Output that only some providers of chat completions send, as responses of the unmodified client."""

from contextlib import contextmanager

import pytest

from tests.openai_client.scripted_provider import scripted
from tests.support.stack import serving

pytestmark = pytest.mark.processes


def chunk(finish_reason=None, **delta):
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}


def call(index, name, arguments):
    called = {"index": index, "id": f"c{index}", "function": {"name": name, "arguments": arguments}}
    return chunk(tool_calls=[called])


@contextmanager
def served(redis_url, provider_url):
    with serving(redis_url, provider_url) as stack, stack.worker(), stack.client() as client:
        yield client


@pytest.mark.usefixtures("redis_client")
def test_reasoning_calls_and_refusals_reach_the_helper_and_the_provider(redis_url):
    """In a continued conversation the provider gets the reasoning back with the calls it led to."""
    chunks = [
        chunk(role="assistant", reasoning_content="Let me "),
        chunk(reasoning_content="see."),
        call(0, "f", '{"a": 1}'),
        call(1, "g", "{}"),
        chunk(refusal="But no more."),
        chunk("tool_calls"),
    ]
    with scripted(*chunks) as (provider_url, requests), served(redis_url, provider_url) as client:
        with client.responses.stream(model="m", input="hi") as stream:
            events = list(stream)
            final = stream.get_final_response()
        again = client.responses.retrieve(final.id)
        outputs = [{"type": "function_call_output", "call_id": f"c{place}", "output": "x"} for place in (0, 1)]
        client.responses.create(model="m", input=outputs, previous_response_id=final.id)

    thought, first, second, refusal = final.output
    assert thought.content[0].text == "Let me see."
    assert [(call.call_id, call.name, call.arguments) for call in (first, second)] == [
        ("c0", "f", '{"a": 1}'),
        ("c1", "g", "{}"),
    ]
    assert refusal.content[0].refusal == "But no more."
    assert [item.id for item in again.output] == [item.id for item in final.output]
    assert [event.item.to_dict() for event in events if event.type == "response.output_item.done"] == [
        item.to_dict() for item in again.output
    ]
    sent_message = next(message for message in requests[-1]["messages"] if message.get("tool_calls"))
    assert (sent_message["reasoning_content"], [call["id"] for call in sent_message["tool_calls"]]) == (
        "Let me see.",
        ["c0", "c1"],
    )


@pytest.mark.usefixtures("redis_client")
def test_custom_tools_and_namespaces_work_with_a_provider_of_functions(redis_url):
    """A coding agent gets the calls in its own format, whole and streamed, and the provider gets the outputs."""
    tools = [
        {
            "type": "custom",
            "name": "apply_patch",
            "format": {"type": "grammar", "syntax": "lark", "definition": "start: /.+/"},
        },
        {
            "type": "namespace",
            "name": "agents",
            "description": "Other agents.",
            "tools": [{"type": "function", "name": "spawn", "parameters": {"type": "object"}}],
        },
    ]
    chunks = [
        call(0, "apply_patch", '{"input": "*** Begin'),
        chunk(tool_calls=[{"index": 0, "function": {"arguments": ' Patch\\n"}'}}]),
        call(1, "agents__spawn", '{"n": 1}'),
        chunk("tool_calls"),
    ]
    with scripted(*chunks) as (provider_url, requests), served(redis_url, provider_url) as client:
        whole = client.responses.create(model="m", input="hi", tools=tools)
        with client.responses.stream(model="m", input="hi", tools=tools) as stream:
            events = list(stream)
            streamed = stream.get_final_response()
        done = [event.item for event in events if event.type == "response.output_item.done"]
        outputs = [
            {"type": "custom_tool_call_output", "call_id": "c0", "output": "Done."},
            {"type": "function_call_output", "call_id": "c1", "output": "started"},
        ]
        client.responses.create(model="m", input=outputs, tools=tools, previous_response_id=streamed.id)

    for output in (whole.output, streamed.output, done):
        patch, spawn = output
        assert (patch.type, patch.name, patch.input) == ("custom_tool_call", "apply_patch", "*** Begin Patch\n")
        assert (spawn.type, spawn.namespace, spawn.name) == ("function_call", "agents", "spawn")
    inputs = [event for event in events if event.type.startswith("response.custom_tool_call_input")]
    assert [event.type.rpartition(".")[2] for event in inputs] == ["delta", "done"]
    assert [tool["function"]["name"] for tool in requests[0]["tools"]] == ["apply_patch", "agents__spawn"]
    assistant, *results = requests[-1]["messages"][-3:]
    assert [called["function"]["name"] for called in assistant["tool_calls"]] == ["apply_patch", "agents__spawn"]
    assert [(result["role"], result["content"]) for result in results] == [("tool", "Done."), ("tool", "started")]
