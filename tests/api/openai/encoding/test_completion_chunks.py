"""A job's log as the chunks of a chat completion: nothing is sent twice, and nothing is taken back."""

import json

import pytest

from api.openai.encoding.completion_chunks import CompletionEventEncoder, ReplayFilter
from api.openai.snapshot import JobSnapshot
from jobs.events import Event
from jobs.kinds.chat import ChatAnswer
from jobs.kinds.completion import CompletionTask
from jobs.models import JobRecord
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
    encoder = CompletionEventEncoder(snapshot(**options))
    output = b"".join(encoder.encode(entry) for entry in log)
    if not encoder.is_finished:
        output += encoder.finish(final_snapshot or snapshot(State.COMPLETED, **options))
    return [frame.removeprefix("data: ") for frame in output.decode().split("\n\n") if frame]


def content(frames):
    chunks = [json.loads(frame) for frame in frames if frame.startswith("{")]
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk.get("choices", ()))


def test_chunks_have_the_jobs_id_and_end_with_usage_and_done():
    """Id, time and model are the same in all chunks; a stream with usage ends with it and [DONE]."""
    frames = encode_log(
        attempt_started(), upstream(ROLE), text_event("hi"), upstream(STOP), stream_options={"include_usage": True}
    )

    *chunks, usage = map(json.loads, frames[:-1])
    assert frames[-1] == "[DONE]"
    assert {(chunk["id"], chunk["created"], chunk["model"], chunk["usage"]) for chunk in chunks} == {
        (JOB, 1, "m2", None)
    }
    assert [chunk["choices"][0].get("finish_reason") for chunk in chunks] == [None, None, "stop"]
    assert (usage["choices"], usage["usage"]["total_tokens"]) == ([], 3)


def test_role_and_finish_reason_are_added_where_the_provider_sent_none():
    """This happens for an answer that was cut and for a chat of the native API."""
    first, last = map(json.loads, encode_log(attempt_started(), text_event("hi"))[:-1])

    assert first["choices"][0]["delta"] == {"role": "assistant", "content": "hi"}
    assert last["choices"][0]["finish_reason"] == "length"


def test_text_that_the_next_attempt_repeats_is_sent_once():
    """The boundaries of the deltas may differ between the attempts."""
    frames = encode_log(
        attempt_started(), upstream(ROLE), text_event("one two"), event("attempt_incomplete"),
        attempt_started(), upstream(ROLE), text_event("one"), text_event(" two thr"), text_event("ee"), upstream(STOP),
    )  # fmt: skip

    assert content(frames) == "one two three"
    assert sum("assistant" in frame for frame in frames) == 1


@pytest.mark.parametrize("second", [text_event("two"), upstream({"choices": [{"index": 0, "delta": {"x": 1}}]})])
def test_an_attempt_with_a_different_text_ends_the_stream_with_an_error(second):
    """Chunks cannot be taken back, so a client must not receive two texts joined."""
    frames = encode_log(
        attempt_started(), upstream(ROLE), text_event("one"), event("attempt_incomplete"), attempt_started(), second
    )

    assert json.loads(frames[-1])["error"]["code"] == "answer_restarted"
    assert content(frames) == "one"


def test_text_with_log_probabilities_stays_in_its_chunk():
    """Text and log-probabilities of a token are in the same chunk."""
    data = {"choices": [{"index": 0, "delta": {"content": "hi"}, "logprobs": {"content": [{"token": "hi"}]}}]}
    chunk = json.loads(encode_log(attempt_started(), upstream(data, "hi"))[0])

    assert chunk["choices"][0]["delta"]["content"] == "hi"
    assert chunk["choices"][0]["logprobs"]["content"][0]["token"] == "hi"


def test_a_cancelled_completion_ends_with_an_error():
    """A client must not take a partial answer for a complete one."""
    frames = encode_log(attempt_started(), text_event("so far"), final_snapshot=snapshot(State.CANCELLED))

    assert json.loads(frames[-1])["error"]["code"] == "cancelled"


def test_the_replay_filter_passes_everything_once():
    """Repeated text and chunks are filtered, and a contradiction is reported."""
    replay_filter = ReplayFilter()
    assert (replay_filter.new_text("abc"), replay_filter.is_new([1])) == ("abc", True)
    replay_filter.restart()

    assert (replay_filter.new_text("ab"), replay_filter.is_new([1])) == ("", False)
    assert (replay_filter.new_text("cd"), replay_filter.is_new([2])) == ("d", True)
    replay_filter.restart()
    assert (replay_filter.new_text("x"), replay_filter.is_new([3])) == (None, None)


def test_a_finish_reason_is_sent_once():
    """A chunk after the finish reason must not cause a second one."""
    frames = encode_log(
        attempt_started(),
        upstream(ROLE),
        text_event("hi"),
        upstream(STOP),
        upstream({"choices": [{"index": 0}], "x": 1}),
    )

    assert sum('"finish_reason":"' in frame for frame in frames) == 1


def test_a_chunk_before_any_choice_is_sent_once():
    """Content-filter results for the prompt are in their own chunk only."""
    verdict = upstream({"model": "m2", "choices": [], "prompt_filter_results": [{"prompt_index": 0}]})
    first, *others = map(
        json.loads, encode_log(attempt_started(), verdict, upstream(ROLE), text_event("hi"), upstream(STOP))[:-1]
    )

    assert (first["choices"], first["prompt_filter_results"]) == ([], [{"prompt_index": 0}])
    assert others[0]["choices"][0]["delta"]["role"] == "assistant"
    assert [chunk for chunk in others if "prompt_filter_results" in chunk] == []
