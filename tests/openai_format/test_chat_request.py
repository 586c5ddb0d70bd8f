"""The request of a response as that of a chat completion: every parameter with a counterpart is converted."""

import pytest

from openai_format.chat_request import chat_request, needs_responses


def translated(**body):
    return chat_request(body, ())


def test_a_text_is_a_message_of_the_user_and_instructions_come_first():
    """The shortest request of a response keeps its meaning."""
    assert translated(input="hi", instructions="Be brief.")["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "hi"},
    ]


def test_items_become_messages_and_calls_join_the_assistants_text():
    """Text and calls of one turn are one message; a developer's message becomes a system message."""
    items = [
        {"role": "developer", "content": "Be brief."},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]},
        {"type": "reasoning", "summary": []},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Let me see."}]},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
        {"type": "function_call", "call_id": "c2", "name": "g", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "one"},
        {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "two"}]},
    ]
    calls = [
        {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
        {"id": "c2", "type": "function", "function": {"name": "g", "arguments": "{}"}},
    ]

    assert translated(input=items)["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "Let me see.", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "c1", "content": "one"},
        {"role": "tool", "tool_call_id": "c2", "content": "two"},
    ]


@pytest.mark.parametrize("content", ["one", [{"type": "output_text", "text": "one"}]])
def test_an_output_follows_its_call_despite_a_text_after_the_call(content):
    """Providers reject a tool message that does not directly follow the message with its call."""
    call = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
    answered = {"type": "function_call_output", "call_id": "c1", "output": "1"}
    spoken = {"role": "assistant", "content": content}

    after, around = (
        translated(input=given)["messages"] for given in ([call, spoken, answered], [spoken, call, spoken, answered])
    )
    assert [message["role"] for message in after] == [message["role"] for message in around] == ["assistant", "tool"]
    assert [message["content"] for message in (after[0], around[0])] == ["one", "one\none"]


def test_options_of_calls_are_left_out_without_tools():
    """Some providers reject a tool_choice without tools."""
    assert translated(input="hi", parallel_tool_calls=True, tool_choice="auto").keys() == {"messages"}


def reasoning(text):
    return {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": text}]}


def test_reasoning_goes_back_with_the_calls_that_it_led_to():
    """Some providers reject such calls without their reasoning."""
    call = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
    answered = {"type": "function_call_output", "call_id": "c1", "output": "one"}
    spoken = {"role": "assistant", "content": "Let me see."}
    first, second = (
        translated(input=[reasoning("first"), call, answered, reasoning("second"), spoken, call | {"call_id": "c2"}])[
            "messages"
        ]
    )[::2]

    assert (first["reasoning_content"], first["tool_calls"][0]["id"]) == ("first", "c1")
    assert (second["reasoning_content"], second["tool_calls"][0]["id"]) == ("second", "c2")


def test_reasoning_that_led_to_no_call_is_left_out():
    """Some providers reject a message with reasoning."""
    call = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
    asked = [reasoning("so"), {"role": "assistant", "content": "42"}, {"role": "user", "content": "and?"}]

    assert not any("reasoning_content" in message for message in translated(input=[*asked, call])["messages"])


def test_content_with_an_image_stays_a_list_of_parts():
    """An image must not be lost by joining the parts to a text."""
    shown = [{"type": "input_text", "text": "what?"}, {"type": "input_image", "image_url": "data:x", "detail": "low"}]

    assert translated(input=[{"role": "user", "content": shown}])["messages"][0]["content"] == [
        {"type": "text", "text": "what?"},
        {"type": "image_url", "image_url": {"url": "data:x", "detail": "low"}},
    ]


def test_options_are_renamed_and_unknown_options_are_forwarded():
    """Every option with a counterpart is converted; options without effect on the answer are left out."""
    body = translated(
        input="hi",
        max_output_tokens=5,
        reasoning={"effort": "low"},
        text={"verbosity": "low", "format": {"type": "json_schema", "name": "n", "schema": {}, "strict": True}},
        tools=[{"type": "function", "name": "f", "parameters": {}, "strict": None}],
        tool_choice={"type": "function", "name": "f"},
        parallel_tool_calls=False,
        truncation="disabled",
        include=["message.output_text.logprobs", "reasoning.encrypted_content"],
        top_logprobs=2,
        top_k=5,
    )

    del body["messages"]
    assert body == {
        "max_completion_tokens": 5,
        "reasoning_effort": "low",
        "verbosity": "low",
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}, "strict": True}},
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "parallel_tool_calls": False,
        "logprobs": True,
        "top_logprobs": 2,
        "top_k": 5,
    }


@pytest.mark.parametrize(
    ("body", "is_needed"),
    [
        ({"input": "hi"}, False),
        ({"input": "hi", "tools": [{"type": "function", "name": "f"}]}, False),
        ({"input": "hi", "tools": [{"type": "web_search"}]}, True),
        ({"input": "hi", "tools": [{"type": "function", "name": "f"}], "tool_choice": {"type": "mcp"}}, True),
        ({"prompt": {"id": "p"}}, True),
        ({"input": "hi", "truncation": "auto"}, True),
        ({"input": [{"type": "web_search_call", "id": "w"}]}, True),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]}, True),
        ({"input": [5]}, False),
        ({"input": "hi", "tools": ["x"]}, False),
        ({"input": "hi", "reasoning": {"effort": "low"}, "include": ["reasoning.encrypted_content"]}, False),
    ],
)
def test_a_request_needs_responses_exactly_if_it_cannot_be_converted(body, is_needed):
    """A malformed request is rejected by the provider, whichever API is called."""
    assert needs_responses(body, ()) is is_needed


def test_earlier_items_count_as_well():
    """They are sent with the new input."""
    assert needs_responses({"input": "hi"}, ({"type": "web_search_call", "id": "w"},))
    assert not needs_responses({"input": "hi"}, ({"role": "user", "content": "a"},))
