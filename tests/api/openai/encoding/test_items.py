"""A conversation of one API, read and continued through another."""

import pytest

from api.openai.encoding.completion import completion_object
from api.openai.encoding.items import output, to_previous_items, without_file_citations
from api.openai.snapshot import JobSnapshot
from jobs.kinds.chat import ChatAnswer, ChatTask
from jobs.kinds.completion import CompletionAnswer, CompletionTask
from jobs.kinds.response import ResponseAnswer, ResponseTask
from jobs.models import JobRecord
from jobs.results import Citation
from jobs.states import State
from openai_format.messages import to_messages

CALLED = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
ASKED = {"role": "user", "content": "hi"}


def record(job_id, kind):
    return JobRecord(
        job_id=job_id, kind=kind, tenant="t", queue="q", state=State.COMPLETED, version=1, seq=1, attempts=1,
        max_attempts=1, created_at_ms=1_000, model="m",
    )  # fmt: skip


def completion(message, *history, text=""):
    body = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    answer = CompletionAnswer(text=text, model="m", finish_reason="stop", usage=None, body=body)
    task = CompletionTask(kind="completion", body={"messages": [*history, ASKED]})
    return JobSnapshot(record("chatcmpl_" + "0" * 32, "completion"), task, answer)


def response(*items, reason="tool_calls"):
    answer = ResponseAnswer(text="", model="m", finish_reason=reason, usage=None, body={"output": list(items)})
    return JobSnapshot(
        record("resp_" + "0" * 32, "response"), ResponseTask(kind="response", body={"input": "hi"}), answer
    )


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
@pytest.mark.parametrize("is_answer", [True, False])
def test_the_reasoning_behind_a_call_goes_back_with_it(name, is_answer):
    """This holds for a completion's answer and for its input, because some providers reject such calls without it."""
    assistant_message = {"role": "assistant", "content": None, name: "because", "tool_calls": [CALLED]}
    previous_items = to_previous_items(
        completion(assistant_message) if is_answer else completion({"role": "assistant"}, assistant_message)
    )
    (sent_message,) = [message for message in to_messages(None, previous_items) if message.get("tool_calls")]

    assert (sent_message["reasoning_content"], sent_message["tool_calls"]) == ("because", [CALLED])


@pytest.mark.parametrize("is_answer", [True, False])
def test_a_refusal_is_part_of_the_conversation(is_answer):
    """A model that goes on from a refusal must see it."""
    assistant_message = {"role": "assistant", "content": None, "refusal": "No."}
    previous_items = to_previous_items(
        completion(assistant_message) if is_answer else completion({"role": "assistant"}, assistant_message)
    )

    assert {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]} in to_messages(
        None, previous_items
    )


@pytest.mark.parametrize("function", [{"name": "f", "arguments": None}, {"name": "f"}])
@pytest.mark.parametrize("is_answer", [True, False])
def test_a_conversation_continues_after_a_call_without_arguments(function, is_answer):
    """Missing arguments become an empty text, because providers reject null."""
    assistant_message = {"role": "assistant", "content": None, "tool_calls": [CALLED | {"function": function}]}
    previous_items = to_previous_items(
        completion(assistant_message) if is_answer else completion({"role": "assistant"}, assistant_message)
    )
    (sent_message,) = [message for message in to_messages(None, previous_items) if message.get("tool_calls")]

    assert sent_message["tool_calls"][0]["function"] == {"name": "f", "arguments": ""}


def test_a_completion_read_as_a_response_has_all_its_content():
    """Reasoning, text, refusal and calls become items with distinct ids."""
    assistant_message = {
        "role": "assistant",
        "content": "so",
        "refusal": "No.",
        "reasoning": "why",
        "tool_calls": [CALLED],
    }
    thought, message, call = output(completion(assistant_message, text="so"))

    assert (thought["type"], thought["content"]) == ("reasoning", [{"type": "reasoning_text", "text": "why"}])
    assert [part.get("text") or part.get("refusal") for part in message["content"]] == ["so", "No."]
    assert message["content"][0]["annotations"] == []
    assert (call["type"], call["call_id"], call["arguments"]) == ("function_call", "c1", "{}")
    assert {item["status"] for item in (thought, message, call)} == {"completed"}
    assert len({item["id"] for item in (thought, message, call)}) == 3


@pytest.mark.parametrize("reason", ["stop", "tool_calls"])
def test_a_response_read_as_a_completion_has_its_calls(reason):
    """The calls are in the message, and the finish reason announces them."""
    call = {"id": "fc_1", "type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
    choice = completion_object(response(call, reason=reason))["choices"][0]

    assert (choice["message"]["tool_calls"], choice["finish_reason"]) == ([CALLED], "tool_calls")


def test_citations_of_documents_are_not_sent_back_to_the_provider():
    """The provider does not know these documents. Its own annotations are kept."""
    citation = Citation(document_id="doc_a", filename="a.pdf", page=3, quote="Oil.", score=0.5)
    answer = ChatAnswer(text="Oil [1].", model="m", finish_reason="stop", usage=None, citations=(citation,))
    snapshot = JobSnapshot(record("resp_" + "0" * 32, "chat"), ChatTask(kind="chat", message="What burns?"), answer)
    (message,) = output(snapshot)
    provider_own = {"type": "url_citation", "url": "http://x"}
    mixed = {"type": "message", "content": [{"annotations": [*message["content"][0]["annotations"], provider_own]}]}

    assert [one["page"] for one in message["content"][0]["annotations"]] == [3]
    assert to_previous_items(snapshot)[-1]["content"][0]["annotations"] == []
    assert without_file_citations(mixed)["content"] == [{"annotations": [provider_own]}]
