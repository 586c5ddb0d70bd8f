"""The provider call for each request."""

import pytest

from jobs.errors import ProviderRejected
from jobs.kinds.completion import CompletionTask
from jobs.kinds.response import ResponseTask
from jobs.kinds.text_completion import TextCompletionTask
from jobs.settings import Settings
from tasks.provider.formats.route import (
    completion_call,
    may_store_completions,
    response_call,
    text_completion_call,
)

SETTINGS = Settings()


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
def test_a_request_that_a_chat_completion_cannot_express_is_rejected(body):
    """Dropping such a part silently would answer a different question."""
    with pytest.raises(ProviderRejected, match="cannot express"):
        completion_call(ResponseTask(kind="response", body={"input": "hi"} | body), SETTINGS)


@pytest.mark.parametrize("item", [{}, {"role": "user"}, {"type": "function_call"}, {"role": "user", "content": [5]}])
def test_a_malformed_item_is_rejected(item):
    """A malformed item is the caller's error: it must not look like a fault of the worker and be retried."""
    with pytest.raises(ProviderRejected, match="malformed"):
        completion_call(ResponseTask(kind="response", body={"input": [item]}), SETTINGS)


def test_a_provider_of_responses_gets_the_previous_items_and_stores_nothing():
    """The history is sent in full, unknown parameters are forwarded, and the provider keeps no copy."""
    previous_items = ({"role": "user", "content": "one"},)
    call = response_call(
        ResponseTask(kind="response", model="m", body={"input": "two", "top_k": 5}, previous_items=previous_items),
        SETTINGS,
    )

    assert call.path == "/responses"
    assert call.body == {
        "input": [{"role": "user", "content": "one"}, {"role": "user", "content": "two"}],
        "top_k": 5,
        "model": "m",
        "stream": True,
        "store": False,
    }


def test_a_completion_is_forwarded_unchanged():
    """Only the model and the options of streaming are set; other stream options survive."""
    body = {"messages": [{"role": "user", "content": "hi"}], "stream_options": {"x": 1}, "top_k": 5}
    call = completion_call(CompletionTask(kind="completion", model="m", body=body), SETTINGS)

    assert call.body == body | {"model": "m", "stream": True, "stream_options": {"x": 1, "include_usage": True}}


@pytest.mark.parametrize(
    ("body", "choices"),
    [
        ({"prompt": "a"}, 1),
        ({"prompt": [1, 2, 3], "n": 2}, 2),
        ({"prompt": ["a", "b"], "n": 2, "logprobs": 1, "best_of": 1, "echo": False}, 4),
        ({}, 1),
    ],
    ids=str,
)
def test_a_text_completion_is_forwarded_and_streamed(body, choices):
    """Every parameter reaches the provider, and the parser waits for as many choices as there will be."""
    task = TextCompletionTask(kind="text_completion", model="m", body=body | {"store": True})
    call = text_completion_call(task, SETTINGS)

    assert (call.path, call.is_streamed, task.choices) == ("/completions", True, choices)
    assert call.body == body | {"model": "m", "stream": True, "stream_options": {"include_usage": True}}


@pytest.mark.parametrize("body", [{"echo": True}, {"best_of": 2}])
def test_what_servers_do_not_stream_is_requested_whole(body):
    """OpenAI refuses to stream the best of several, and few servers stream an echoed prompt."""
    task = TextCompletionTask(kind="text_completion", model="m", body={"prompt": "a"} | body)
    call = text_completion_call(task, SETTINGS)

    assert not call.is_streamed
    assert call.body == {"prompt": "a", "model": "m"} | body


def test_a_rejection_quotes_only_names_from_a_request():
    """The type of an item is the caller's text and may contain private data."""
    with pytest.raises(ProviderRejected) as error:
        completion_call(ResponseTask(kind="response", body={"input": [{"type": "Canary 4711"}]}), SETTINGS)

    assert "Canary" not in error.value.message


@pytest.mark.parametrize(
    ("base_url", "stored"),
    [
        ("https://api.openai.com/v1", False),
        ("https://eu.api.openai.com/v1", False),
        ("https://x.openai.azure.com/openai/v1", False),
        ("http://127.0.0.1:8080/v1", None),
        ("https://notopenai.com.example/v1", None),
        ("https://notopenai.com/v1", None),
    ],
)
@pytest.mark.parametrize("asked", [{}, {"store": True}, {"store": False}])
def test_a_provider_stores_no_chat_completion(base_url, stored, asked):
    """OpenAI is told so, whatever the caller asks for here. Other providers might reject the parameter."""
    request = CompletionTask(kind="completion", model="m", body={"messages": [], **asked})
    call = completion_call(request, SETTINGS, may_store=may_store_completions(base_url))

    assert call.body.get("store") is stored


@pytest.mark.parametrize(
    ("model", "body", "store", "include"),
    [
        ("gpt-5-mini", {}, True, ["reasoning.encrypted_content"]),
        ("o4-mini", {"include": ["x"]}, True, ["x", "reasoning.encrypted_content"]),
        ("m", {"reasoning": {"effort": "low"}}, True, ["reasoning.encrypted_content"]),
        ("gpt-5", {"include": ["reasoning.encrypted_content"]}, True, ["reasoning.encrypted_content"]),
        ("gpt-5", {}, False, None),
        ("gpt-5-chat-latest", {}, True, None),
        ("gpt-4o", {}, True, None),
    ],
)
def test_reasoning_is_requested_in_a_form_that_can_be_sent_back(model, body, store, include):
    """The provider stores nothing, so a follow-up request would otherwise lose it. Other models reject the request."""
    request = ResponseTask(kind="response", model=model, store=store, body={"input": "hi", **body})

    assert response_call(request, SETTINGS).body.get("include") == include
