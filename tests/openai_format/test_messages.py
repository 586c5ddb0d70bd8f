"""Messages of a chat completion as items of a response, and back."""

import pytest

from openai_format.messages import NotInChatFormat, to_items, to_messages

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
