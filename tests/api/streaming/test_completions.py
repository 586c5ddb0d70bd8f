"""A job's log as the chunks of a chat completion: no text is repeated, and no chunk is withdrawn."""

import json

import pytest

from api.openai.encoding.replay_filter import OutputDiffers
from api.openai.encoding.sent_completion import SentCompletion
from api.openai.snapshot import JobSnapshot
from api.streaming.completions import CompletionEncoder
from jobs.events import Event
from jobs.kinds.chat import ChatAnswer
from jobs.kinds.completion import CompletionTask
from jobs.models import JobRecord, JobView
from jobs.requests import StreamOptions
from jobs.results import Usage
from jobs.states import State

JOB = "chatcmpl_" + "0" * 32
ROLE = {"model": "m2", "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}
STOP = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}


def snapshot(state=State.QUEUED, text="", **options):
    record = JobRecord(
        job_id=JOB, kind="completion", tenant="t", queue="q", state=state, version=1, seq=1, attempts=1,
        max_attempts=1, created_at_ms=1_000, model="m",
    )  # fmt: skip
    usage = Usage(input_tokens=1, output_tokens=2, total_tokens=3)
    answer = ChatAnswer(text=text, model="m2", finish_reason="length", usage=usage)
    task = CompletionTask(kind="completion", body={"messages": [], **options})
    return JobSnapshot(record, task, answer if state.is_final else None)


def event(kind, **fields):
    return Event(sequence_number=None, type=kind, **fields)


def attempt_started():
    return event("in_progress")


def text_event(text):
    return event("delta", text=text)


def upstream(data, text=None):
    return event("delta" if text else "upstream", data=data, text=text)


def encode_log(*log, final_snapshot=None, **options):
    encoder = CompletionEncoder(snapshot(**options))
    output = b"".join(encoder.encode(entry) for entry in log)
    if not encoder.is_finished:
        final = final_snapshot or snapshot(State.COMPLETED, text_of_last_attempt(log), **options)
        output += encoder.finish(JobView(record=final.record, answer=final.answer))
    return [frame.removeprefix("data: ") for frame in output.decode().split("\n\n") if frame]


def text_of_last_attempt(log):
    text = ""
    for entry in log:
        text = "" if entry.type == "in_progress" else text + (entry.text or "")
    return text


def content(frames):
    chunks = [json.loads(frame) for frame in frames if frame.startswith("{")]
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk.get("choices", ()))


def test_chunks_have_our_id_and_end_with_done():
    """The finish reason comes in the last chunk, then the usage, then [DONE]."""
    frames = encode_log(
        attempt_started(), upstream(ROLE), text_event("hi"), upstream(STOP), stream_options={"include_usage": True}
    )

    *chunks, usage = map(json.loads, frames[:-1])
    assert frames[-1] == "[DONE]"
    assert {(chunk["id"], chunk["created"], chunk["model"], chunk["usage"]) for chunk in chunks} == {
        (JOB, 1, "m2", None)
    }
    assert [chunk["choices"][0].get("finish_reason") for chunk in chunks] == [None, None, "length"]
    assert (usage["choices"], usage["usage"]["total_tokens"]) == ([], 3)


def test_a_missing_role_and_finish_reason_are_added():
    """A native chat and an answer cut by us have neither in their log."""
    first, last = map(json.loads, encode_log(attempt_started(), text_event("hi"))[:-1])

    assert first["choices"][0]["delta"] == {"role": "assistant", "content": "hi"}
    assert last["choices"][0]["finish_reason"] == "length"


def test_text_repeated_by_the_next_attempt_is_sent_once():
    """The deltas of the attempts may be divided differently."""
    frames = encode_log(
        attempt_started(), upstream(ROLE), text_event("one two"), event("attempt_incomplete"),
        attempt_started(), upstream(ROLE), text_event("one"), text_event(" two thr"), text_event("ee"), upstream(STOP),
    )  # fmt: skip

    assert content(frames) == "one two three"
    assert sum("assistant" in frame for frame in frames) == 1


@pytest.mark.parametrize("second", [text_event("two"), upstream({"choices": [{"index": 0, "delta": {"x": 1}}]})])
def test_a_differing_attempt_ends_the_stream_with_an_error(second):
    """Chunks that were sent cannot be withdrawn."""
    frames = encode_log(
        attempt_started(), upstream(ROLE), text_event("one"), event("attempt_incomplete"), attempt_started(), second
    )

    assert json.loads(frames[-1])["error"]["code"] == "answer_restarted"
    assert content(frames) == "one"


def test_text_keeps_its_place_among_other_fields():
    """The log probabilities of a text stay in the same chunk."""
    data = {"choices": [{"index": 0, "delta": {"content": "hi"}, "logprobs": {"content": [{"token": "hi"}]}}]}
    chunk = json.loads(encode_log(attempt_started(), upstream(data, "hi"))[0])

    assert chunk["choices"][0]["delta"]["content"] == "hi"
    assert chunk["choices"][0]["logprobs"]["content"][0]["token"] == "hi"


def test_a_cancelled_completion_ends_with_an_error():
    """The client must not take the partial text for a complete answer."""
    frames = encode_log(attempt_started(), text_event("so far"), final_snapshot=snapshot(State.CANCELLED))

    assert json.loads(frames[-1])["error"]["code"] == "cancelled"


def test_only_new_output_is_sent():
    """Repeated output is empty, new output passes, and a contradiction raises."""
    sent = SentCompletion()
    assert sent.new_text(0, "content", "abc") == "abc"
    assert sent.new_delta(0, {"images": [1]}, with_calls=False) == {"images": [1]}
    sent.restart()

    assert sent.new_text(0, "content", "ab") == ""
    assert sent.new_delta(0, {"images": [1]}, with_calls=False) == {}
    assert sent.is_repeating
    assert sent.new_text(0, "content", "cd") == "d"
    assert not sent.is_repeating
    sent.restart()
    with pytest.raises(OutputDiffers):
        sent.new_text(0, "content", "x")


def test_a_finish_reason_is_sent_once():
    """A chunk after it must not cause a second one."""
    frames = encode_log(
        attempt_started(),
        upstream(ROLE),
        text_event("hi"),
        upstream(STOP),
        upstream({"choices": [{"index": 0}], "x": 1}),
    )

    assert sum('"finish_reason":"' in frame for frame in frames) == 1


def test_a_chunk_without_choices_is_sent_once():
    """A provider's verdict on the prompt comes before any choice."""
    verdict = upstream({"model": "m2", "choices": [], "prompt_filter_results": [{"prompt_index": 0}]})
    first, *others = map(
        json.loads, encode_log(attempt_started(), verdict, upstream(ROLE), text_event("hi"), upstream(STOP))[:-1]
    )

    assert (first["choices"], first["prompt_filter_results"]) == ([], [{"prompt_index": 0}])
    assert others[0]["choices"][0]["delta"]["role"] == "assistant"
    assert [chunk for chunk in others if "prompt_filter_results" in chunk] == []


@pytest.mark.parametrize(("lost", "streamed"), [((), True), ((text_event("x"),), False)], ids=["empty", "with output"])
def test_only_an_attempt_with_output_stops_the_arguments(lost, streamed):
    """A call that the provider refused at its rate limit is an attempt too. Nothing of it was sent."""
    call = {"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    encoder = CompletionEncoder(with_arguments())
    for entry in (attempt_started(), *lost, event("attempt_incomplete"), attempt_started()):
        encoder.encode(entry)

    chunk = encoder.encode(upstream({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}))
    assert (b"tool_calls" in chunk) == streamed


def with_arguments():
    task = CompletionTask(
        kind="completion", body={"messages": []}, stream_options=StreamOptions(include_arguments=True)
    )
    return JobSnapshot(snapshot().record, task, None)
