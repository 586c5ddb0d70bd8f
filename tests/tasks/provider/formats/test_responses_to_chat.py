"""A response's request as a chat completion's: everything that has a counterpart, and a clear no for the rest."""

import pytest

from jobs.errors import ProviderRejected
from jobs.kinds.completion import CompletionTask
from jobs.kinds.response import ResponseTask
from jobs.settings import Settings
from tasks.provider.formats.responses_to_chat import chat_body
from tasks.provider.formats.route import completion_call, response_call

SETTINGS = Settings()


def translated(**body):
    return chat_body(body, ())


def test_a_text_is_what_the_user_says_and_instructions_go_first():
    assert translated(input="hi", instructions="Be brief.")["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "hi"},
    ]


def test_items_become_messages_and_calls_join_what_the_assistant_said():
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
def test_an_output_follows_its_call_whatever_was_said_after_the_call(content):
    call = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
    answered = {"type": "function_call_output", "call_id": "c1", "output": "1"}
    spoken = {"role": "assistant", "content": content}

    after, around = (
        translated(input=given)["messages"] for given in ([call, spoken, answered], [spoken, call, spoken, answered])
    )
    assert [message["role"] for message in after] == [message["role"] for message in around] == ["assistant", "tool"]
    assert [message["content"] for message in (after[0], around[0])] == ["one", "one\none"]


def test_nothing_is_said_of_calls_where_there_is_nothing_to_call():
    """Some providers refuse it."""
    assert translated(input="hi", parallel_tool_calls=True, tool_choice="auto").keys() == {"messages"}


def thought(text):
    return {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": text}]}


def test_a_thought_goes_back_with_the_calls_that_it_led_to():
    """Some providers refuse such calls without it."""
    call = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
    answered = {"type": "function_call_output", "call_id": "c1", "output": "one"}
    spoken = {"role": "assistant", "content": "Let me see."}
    first, second = (
        translated(input=[thought("first"), call, answered, thought("second"), spoken, call | {"call_id": "c2"}])[
            "messages"
        ]
    )[::2]

    assert (first["reasoning_content"], first["tool_calls"][0]["id"]) == ("first", "c1")
    assert (second["reasoning_content"], second["tool_calls"][0]["id"]) == ("second", "c2")


def test_a_thought_that_led_to_no_call_is_left_out():
    """Some providers refuse a message that has one."""
    call = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
    asked = [thought("so"), {"role": "assistant", "content": "42"}, {"role": "user", "content": "and?"}]

    assert not any("reasoning_content" in message for message in translated(input=[*asked, call])["messages"])


def test_what_is_no_text_stays_a_part():
    shown = [{"type": "input_text", "text": "what?"}, {"type": "input_image", "image_url": "data:x", "detail": "low"}]

    assert translated(input=[{"role": "user", "content": shown}])["messages"][0]["content"] == [
        {"type": "text", "text": "what?"},
        {"type": "image_url", "image_url": {"url": "data:x", "detail": "low"}},
    ]


def test_options_get_their_other_names_and_unknown_ones_pass():
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
    "body",
    [
        {"tools": [{"type": "web_search"}]},
        {"tools": [{"type": "function", "name": "f"}], "tool_choice": {"type": "allowed_tools"}},
        {"input": [{"type": "item_reference", "id": "x"}]},
        {"input": [{"role": "user", "content": [{"type": "input_video"}]}]},
        {"prompt": {"id": "p"}},
        {"truncation": "auto"},
        {"context_management": [{"type": "compaction"}]},
    ],
    ids=str,
)
def test_what_a_chat_completion_has_no_words_for_is_refused(body):
    with pytest.raises(ProviderRejected, match="no words for"):
        chat_body({"input": "hi"} | body, ())


@pytest.mark.parametrize("item", [{}, {"role": "user"}, {"type": "function_call"}, {"role": "user", "content": [5]}])
def test_what_is_malformed_is_refused_and_crashes_nothing(item):
    with pytest.raises(ProviderRejected, match="malformed"):
        completion_call(ResponseTask(kind="response", body={"input": [item]}), SETTINGS)


def test_a_provider_that_speaks_responses_is_told_what_was_said_before_and_keeps_nothing():
    previous_items = ({"role": "user", "content": "one"},)
    call = response_call(
        ResponseTask(kind="response", body={"input": "two", "top_k": 5}, previous_items=previous_items), SETTINGS
    )

    assert call.path == "/responses"
    assert call.body == {
        "input": [{"role": "user", "content": "one"}, {"role": "user", "content": "two"}],
        "top_k": 5,
        "model": SETTINGS.chat_model,
        "stream": True,
        "store": False,
    }


def test_a_completion_passes_as_it_came():
    body = {"messages": [{"role": "user", "content": "hi"}], "stream_options": {"x": 1}, "top_k": 5}
    call = completion_call(CompletionTask(kind="completion", model="m", body=body), SETTINGS)

    assert call.body == body | {"model": "m", "stream": True, "stream_options": {"x": 1, "include_usage": True}}


def test_a_refusal_repeats_no_more_of_a_request_than_a_name():
    with pytest.raises(ProviderRejected) as refused:
        chat_body({"input": [{"type": "Canary 4711"}]}, ())

    assert "Canary" not in refused.value.message
