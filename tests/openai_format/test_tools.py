"""Custom tools and the tools of a namespace, for a provider that has functions only."""

import json

import pytest

from openai_format.chat_request import chat_request, function_names, needs_responses
from openai_format.chunk_converter import ChunkConverter
from openai_format.tools import FunctionNames, Tool, custom_input
from tests.openai_format.budgets import Unlimited

PATCH = '*** Begin Patch\n*** Add File: ä.txt\n+hi \\ "there"\n*** End Patch\n'
GRAMMAR = {"type": "grammar", "syntax": "lark", "definition": "start: begin hunk end"}
APPLY_PATCH = {"type": "custom", "name": "apply_patch", "description": "Edits files.", "format": GRAMMAR}
SPAWN = {
    "type": "function",
    "name": "spawn",
    "description": "Starts.",
    "parameters": {"type": "object"},
    "strict": False,
}
AGENTS = {"type": "namespace", "name": "agents", "description": "Other agents.", "tools": [SPAWN]}


def functions_of(*tools, **body):
    declared = chat_request({"input": "hi", "tools": [*tools], **body}, ())["tools"]
    assert all(tool["type"] == "function" for tool in declared)
    return [tool["function"] for tool in declared]


def call_of(name, arguments, status="completed"):
    """The events and the only item of a response whose model calls this function, in fragments of 5 characters."""
    body = {"input": "hi", "tools": [APPLY_PATCH, AGENTS, {**AGENTS, "name": "editor", "tools": [APPLY_PATCH]}]}
    converter = ChunkConverter(Unlimited(), function_names(body, ()))
    pieces = [arguments[start : start + 5] for start in range(0, len(arguments), 5)]
    fragments = [{"index": 0, "id": "c1", "function": {"name": name, "arguments": ""}}]
    fragments += [{"index": 0, "function": {"arguments": piece}} for piece in pieces]
    events = [event for part in fragments for event in converter.convert({"delta": {"tool_calls": [part]}})]
    events += converter.finish(status)
    (item,) = converter.output()
    assert events[-1]["item"] == item
    return events, {name: value for name, value in item.items() if name != "id"}


def test_a_custom_tool_becomes_a_function_with_one_text():
    """The grammar is in the description of the text, because no function can enforce it."""
    (function,) = functions_of(APPLY_PATCH)
    text = function["parameters"]["properties"]["input"]

    assert (function["name"], function["description"]) == ("apply_patch", "Edits files.")
    assert (text["type"], function["parameters"]["required"]) == ("string", ["input"])
    assert GRAMMAR["definition"] in text["description"]
    assert functions_of({"type": "custom", "name": "note", "format": {"type": "text"}})[0]["name"] == "note"


def test_the_tools_of_a_namespace_become_functions_named_after_it():
    """What concerns only the Responses API is left out: some providers reject unknown fields."""
    deferred = {**SPAWN, "defer_loading": True, "output_schema": {}}
    (function,) = functions_of({**AGENTS, "tools": [deferred]})

    assert function == {
        "name": "agents__spawn",
        "description": "Starts.\n\nOther agents.",
        "parameters": {"type": "object"},
        "strict": False,
    }


def test_two_tools_never_share_a_function():
    """Namespaces and names are joined, cut and cleaned; a function of the same name stays another one."""
    tools = [
        {**SPAWN, "name": "agents__spawn"},
        AGENTS,
        {**AGENTS, "name": "a.b", "tools": [SPAWN, {**SPAWN, "name": "x" * 100}, {**SPAWN, "name": "x" * 101}]},
        {**AGENTS, "name": "mcp__files__"},
        {"type": "custom", "name": "agents__spawn"},
        AGENTS,
    ]
    names = [function["name"] for function in functions_of(*tools)]

    assert len(set(names)) == len(names) == 7
    assert names[0] == "agents__spawn"
    assert "mcp__files__spawn" in names
    assert all(len(name) <= 64 and "." not in name for name in names)


def test_tools_in_an_input_item_are_tools_of_the_request():
    """Some programs declare their tools there, and nowhere else."""
    item = {"type": "additional_tools", "role": "developer", "tools": [APPLY_PATCH]}
    body = chat_request({"input": [item, {"role": "user", "content": "hi"}]}, ())

    assert [tool["function"]["name"] for tool in body["tools"]] == ["apply_patch"]
    assert body["messages"] == [{"role": "user", "content": "hi"}]


@pytest.mark.parametrize(
    ("choice", "name"),
    [
        ({"type": "custom", "name": "apply_patch"}, "apply_patch"),
        ({"type": "function", "name": "spawn", "namespace": "agents"}, "agents__spawn"),
    ],
)
def test_a_forced_tool_is_the_function_that_stands_for_it(choice, name):
    """The provider knows only that name."""
    body = chat_request({"input": "hi", "tools": [APPLY_PATCH, AGENTS], "tool_choice": choice}, ())

    assert body["tool_choice"] == {"type": "function", "function": {"name": name}}


def test_a_tool_that_the_provider_would_have_to_run_is_not_translated():
    """Also inside a namespace: the caller learns of it instead of missing it."""
    assert needs_responses({"input": "hi", "tools": [APPLY_PATCH, {"type": "web_search"}]}, ())
    assert needs_responses({"input": "hi", "tools": [{**AGENTS, "tools": [{"type": "mcp"}]}]}, ())
    assert not needs_responses({"input": "hi", "tools": [APPLY_PATCH, AGENTS]}, ())


def test_a_call_of_a_custom_tool_has_its_input_verbatim():
    """The events and the item are those of the Responses API: no reader sees the function."""
    events, item = call_of("apply_patch", json.dumps({"input": PATCH}))

    assert item == {
        "type": "custom_tool_call",
        "status": "completed",
        "call_id": "c1",
        "name": "apply_patch",
        "input": PATCH,
    }
    kinds = [event["type"].removeprefix("response.") for event in events]
    assert kinds == [
        "output_item.added",
        "custom_tool_call_input.delta",
        "custom_tool_call_input.done",
        "output_item.done",
    ]
    assert (events[0]["item"]["input"], events[1]["delta"], events[2]["input"]) == ("", PATCH, PATCH)
    assert {event["item_id"] for event in events[1:3]} == {events[0]["item"]["id"]}


def test_a_call_of_a_namespaces_tool_names_both():
    """A program finds its tool by namespace and name."""
    events, item = call_of("agents__spawn", '{"a": 1}')
    assert (item["type"], item["namespace"], item["name"]) == ("function_call", "agents", "spawn")
    assert "".join(event["delta"] for event in events if event["type"].endswith("arguments.delta")) == '{"a": 1}'

    _, item = call_of("editor__apply_patch", json.dumps({"input": PATCH}))
    assert (item["type"], item["namespace"], item["name"], item["input"]) == (
        "custom_tool_call",
        "editor",
        "apply_patch",
        PATCH,
    )


def test_the_input_of_a_call_that_was_cut_is_left_out():
    """Half of a script must not run."""
    _, item = call_of("apply_patch", '{"input": "rm -rf /tmp/a', "incomplete")

    assert (item["status"], item["input"]) == ("incomplete", "")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ('{"input": "a"}', "a"),
        ('{"patch": "a"}', "a"),
        ('{"input": "a", "why": "b"}', "a"),
        ('"a"', "a"),
        ("*** Begin Patch", "*** Begin Patch"),
        ("", ""),
        ("{}", ""),
        ('{"x": 1, "y": 2}', '{"x": 1, "y": 2}'),
        ('{"input": ["a"]}', '{"input": ["a"]}'),
        (r'{"input": "\ud83d"}', "\ufffd"),
    ],
)
def test_an_input_is_read_however_the_model_wrapped_it(arguments, text):
    """What cannot be read stays as it is: the tool reports the error to the model."""
    assert custom_input(arguments) == text


def test_calls_and_outputs_of_the_next_turn_are_those_of_the_function():
    """Also where the request no longer declares the tool."""
    items = (
        {"type": "custom_tool_call", "call_id": "c1", "name": "apply_patch", "input": PATCH},
        {"type": "function_call", "call_id": "c2", "namespace": "agents", "name": "spawn", "arguments": "{}"},
        {"type": "custom_tool_call_output", "call_id": "c1", "output": "Done."},
        {"type": "function_call_output", "call_id": "c2", "output": "started"},
    )
    for tools in ([APPLY_PATCH, AGENTS], []):
        assistant, *outputs = chat_request({"input": [], "tools": tools}, items)["messages"]
        first, second = (call["function"] for call in assistant["tool_calls"])

        assert (first["name"], json.loads(first["arguments"])) == ("apply_patch", {"input": PATCH})
        assert (second["name"], second["arguments"]) == ("agents__spawn", "{}")
        assert outputs == [
            {"role": "tool", "tool_call_id": "c1", "content": "Done."},
            {"role": "tool", "tool_call_id": "c2", "content": "started"},
        ]


def test_a_function_that_no_tool_has_stays_a_function():
    """A model may invent a name. The program answers that it has no such tool."""
    assert FunctionNames([AGENTS]).tool_of("other") == Tool("other")


SEARCH = {"type": "tool_search", "execution": "client", "description": "Finds.", "parameters": {"type": "object"}}


def test_a_search_for_tools_that_the_client_executes_is_a_function():
    """What it has found can be called in the next turn. A search by the provider cannot be translated."""
    call = {"type": "tool_search_call", "call_id": "c1", "execution": "client", "arguments": {"query": "agents"}}
    found = {"type": "tool_search_output", "call_id": "c1", "execution": "client", "tools": [AGENTS]}
    body = {"input": [call, found], "tools": [SEARCH]}
    converted = chat_request(body, ())
    converter = ChunkConverter(Unlimited(), function_names(body, ()))
    fragment = {"id": "c2", "function": {"name": "tool_search", "arguments": '{"query": "x"}'}}
    list(converter.convert({"delta": {"tool_calls": [fragment]}}))
    *_, done = converter.finish("completed")

    assert [tool["function"]["name"] for tool in converted["tools"]] == ["tool_search", "agents__spawn"]
    assistant, output = converted["messages"]
    assert json.loads(assistant["tool_calls"][0]["function"]["arguments"]) == {"query": "agents"}
    assert json.loads(output["content"]) == [{"name": "agents__spawn", "description": "Starts.\n\nOther agents."}]
    assert {name: value for name, value in done["item"].items() if name != "id"} == {
        "type": "tool_search_call",
        "status": "completed",
        "call_id": "c2",
        "execution": "client",
        "arguments": {"query": "x"},
    }
    assert needs_responses({"input": "hi", "tools": [{"type": "tool_search"}]}, ())
