"""A compaction item: opaque to the client, a summary for the provider."""

import pytest

from openai_format.chat_request import chat_request, needs_responses
from openai_format.compaction import compaction_item, with_summaries

USER = {"type": "message", "role": "user", "content": "hi"}


def test_a_summary_reaches_the_model_as_a_message():
    """Any provider understands a message; what surrounds it stays."""
    *before, summary, after = with_summaries([USER, compaction_item("Launch: Tuesday, ünd 🚀."), USER])

    assert before == [USER]
    assert after == USER
    assert summary["role"] == "user"
    assert summary["content"].endswith("\n\nLaunch: Tuesday, ünd 🚀.")
    sent = chat_request({"input": [compaction_item("Launch: Tuesday.")]}, ())["messages"]
    assert sent[0]["content"].endswith("Launch: Tuesday.")


@pytest.mark.parametrize(
    "content", ["gAAAAABpM0Yj-", "chatqueue-summary-1:?", "chatqueue-summary-1:_w==", 5, None, "chatqueue-summary-1:é"]
)
def test_a_compaction_of_a_provider_stays_as_it_is(content):
    """Only that provider can read it, so it needs the Responses API. So does a damaged one of ours: it is refused."""
    item = {"type": "compaction", "encrypted_content": content}

    assert with_summaries([item]) == [item]
    assert needs_responses({"input": [item]}, ())
