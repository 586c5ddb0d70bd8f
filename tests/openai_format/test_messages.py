"""Messages of a chat completion as items of a response, and back."""

import pytest

from openai_format.errors import NotInChatFormat
from openai_format.messages import to_items, to_messages

CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}],
        [{"role": "user", "content": [{"type": "text", "text": "what?"}, {"type": "file", "file": {"file_id": "f"}}]}],
        [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:x", "detail": "low"}}]}],
        [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": None, "tool_calls": [CALL], "reasoning_content": "so"},
            {"role": "tool", "tool_call_id": "c1", "content": "1"},
            {"role": "assistant", "content": "one"},
        ],
        [{"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}],
    ],
    ids=["texts", "file", "image", "call", "refusal"],
)
def test_messages_survive_the_way_to_items_and_back(messages):
    """A conversation that starts with one API can continue with a provider of the other without loss."""
    assert to_messages(None, to_items(messages)) == messages


def test_content_without_counterpart_stays_unchanged_on_the_way_to_items():
    """The provider, not the conversion, decides whether to accept content that is unknown here."""
    part = {"type": "input_audio", "input_audio": {"data": "x"}}

    assert to_items([{"role": "user", "content": [part]}])[0]["content"] == [part]


def test_calls_of_custom_tools_become_items_of_their_own():
    """A conversation of chat completions continues as a response, with the call and the output that belong together."""
    call = {"id": "c1", "type": "custom", "custom": {"name": "run", "input": "1+1"}}
    messages = [{"role": "assistant", "tool_calls": [call, CALL | {"id": "c2"}]}]
    messages += [{"role": "tool", "tool_call_id": call_id, "content": "2"} for call_id in ("c1", "c2")]

    assert to_items(messages) == [
        {"type": "custom_tool_call", "call_id": "c1", "name": "run", "input": "1+1"},
        {"type": "function_call", "call_id": "c2", "name": "f", "arguments": "{}"},
        {"type": "custom_tool_call_output", "call_id": "c1", "output": "2"},
        {"type": "function_call_output", "call_id": "c2", "output": "2"},
    ]


@pytest.mark.parametrize(
    ("item", "part"),
    [
        ({"type": "item_reference", "id": "x"}, "an input item of type item_reference"),
        ({"role": "user", "content": [{"type": "input_video"}]}, "content of type input_video"),
    ],
)
def test_what_messages_cannot_express_is_named(item, part):
    """The error names the part, so that the caller can leave it out."""
    with pytest.raises(NotInChatFormat) as error:
        to_messages(None, [item])

    assert error.value.part == part
