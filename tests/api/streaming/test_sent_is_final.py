"""Whatever a provider does, a stream contains only what the answer contains, or ends with an error.

Each case is an answer whose attempts meet random faults at random places. It runs through the real parsers, event
writer and encoders; only the network, Redis and the processes are left out.
"""

import json
import random
from dataclasses import dataclass, field
from typing import Any

import pytest

from api.openai.encoding.completion import completion_object
from api.openai.encoding.response import response_object
from api.openai.snapshot import JobSnapshot
from api.streaming.completions import CompletionEncoder
from api.streaming.native import NativeEncoder
from api.streaming.responses import ResponseEncoder
from jobs.errors import AttemptError
from jobs.events import Event, read_events
from jobs.kinds.completion import CompletionAnswer, CompletionTask
from jobs.kinds.response import ResponseAnswer, ResponseTask
from jobs.models import JobRecord, JobView
from jobs.requests import StreamOptions
from jobs.results import JobError, Usage
from jobs.settings import Settings
from jobs.states import State
from openai_format.items import output_text_of
from tasks.handlers.event_writer import _events
from tasks.provider.answer_stream import AnswerStream
from tasks.provider.formats.delta import TRUNCATED_REASONS
from tasks.provider.formats.route import completion_call, response_call

CASES = 10_000
BATCHES = 10
SETTINGS = Settings(OPENAI_BASE_URL="http://127.0.0.1:1/v1", OPENAI_API_KEY="sk-x")
FAULTS = ("none", "cut", "reset", "death", "error", "duplicate", "reorder", "junk", "lose")
WORDS = ("Zwölf ", "Box", "kämpfer ", "🙂", " jagen ", "日本", "\ud83d", "\ude42", "語", "", " Viktor")
JUNK = (
    b"data: {\n\n",
    b"data: null\n\n",
    b": x\n\n",
    b'data: {"type": "ping"}\n\n',
    b"\x00\xff",
    b"data: {}\n\n",
    b"event: x\n",
)


@dataclass
class Script:
    """The answer that a provider gives to one attempt."""

    words: list[str]
    reasoning: list[str]
    calls: list[tuple[str, str, str]]  # id, name, arguments
    choices: int
    has_refusal: bool


def script(rng: random.Random) -> Script:
    calls = [
        (f"c{rng.randrange(99)}", rng.choice("fg"), rng.choice(('{"a":1}', '{"city":"Rome","n":[1,2]}', "{}", "")))
        for _ in range(rng.choice((0, 0, 1, 2)))
    ]
    words = [rng.choice(WORDS) for _ in range(rng.randrange(6))]
    return Script(
        words,
        [rng.choice(WORDS) for _ in range(rng.choice((0, 0, 2)))],
        calls,
        rng.choice((1, 1, 1, 2)),
        rng.random() < 0.1,
    )


def variant(rng: random.Random, earlier: Script) -> Script:
    """What the next attempt answers: mostly the same, sometimes a part of it, sometimes something else."""
    match rng.randrange(6):
        case 0:
            return script(rng)
        case 1:
            return Script(earlier.words[:-1], earlier.reasoning, earlier.calls, earlier.choices, earlier.has_refusal)
        case 2:
            again = [(f"again{n}", name, arguments) for n, (_, name, arguments) in enumerate(earlier.calls)]
            return Script(earlier.words, earlier.reasoning, again, earlier.choices, earlier.has_refusal)
    return earlier


def halves(rng: random.Random, text: str) -> list[str]:
    at = rng.randrange(len(text) + 1)
    return [text[:at], text[at:]]


def chat_events(rng: random.Random, said: Script) -> list[bytes]:
    def chunk(delta, reason=None, index=0):
        return {"model": "m", "choices": [{"index": index, "delta": delta, "finish_reason": reason}]}

    chunks = [chunk({"role": "assistant", "content": ""})]
    chunks += [chunk({"reasoning_content": word}) for word in said.reasoning]
    chunks += [chunk({"content": word}) for word in said.words]
    if said.choices > 1:
        at = rng.randrange(len(chunks))
        chunks[at:at] = [chunk({"role": "assistant", "content": word}, index=1) for word in said.words[:2]]
    if said.has_refusal:
        chunks.append(chunk({"refusal": "I won't"}))
    odd = rng.randrange(5)
    for number, (call_id, name, arguments) in enumerate(said.calls):
        index: dict[str, Any] = {0: {"index": 0}, 1: {}}.get(odd, {"index": number})
        named = {} if odd == 2 else {"id": call_id}
        first, second = halves(rng, arguments)
        chunks.append(
            chunk(
                {"tool_calls": [index | named | {"type": "function", "function": {"name": name, "arguments": first}}]}
            )
        )
        again = (
            {"id": call_id, "function": {"name": name, "arguments": second}}
            if odd == 3
            else {"function": {"arguments": second}}
        )
        chunks.append(chunk({"tool_calls": [index | again]}))
    reason = "tool_calls" if said.calls else rng.choice(("stop", "stop", "length"))
    chunks += [chunk({}, reason, index) for index in range(said.choices - 1, -1, -1)]
    if rng.random() < 0.8:
        chunks.append({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}})
    if rng.random() < 0.2:
        chunks = [one for one in chunks if not (one.get("choices") and one["choices"][0]["finish_reason"])]
    return [f"data: {json.dumps(one)}\n\n".encode() for one in chunks] + (
        [b"data: [DONE]\n\n"] if rng.random() < 0.8 else []
    )


def response_events(rng: random.Random, said: Script) -> list[bytes]:
    events: list[dict[str, Any]] = [{"type": "response.created", "response": {"model": "m"}}]
    output: list[dict[str, Any]] = []
    number = rng.randrange(1000)

    def item(kind, **fields):
        output.append({"id": f"{kind}_{number}_{len(output)}", "type": kind, "status": "completed", **fields})
        return len(output) - 1, output[-1]

    if said.reasoning:
        index, thought = item(
            "reasoning", summary=[], content=[{"type": "reasoning_text", "text": "".join(said.reasoning)}]
        )
        events.append({"type": "response.output_item.added", "output_index": index, "item": thought | {"content": []}})
        events += [
            {
                "type": "response.reasoning_text.delta",
                "item_id": thought["id"],
                "output_index": index,
                "content_index": 0,
                "delta": word,
            }
            for word in said.reasoning
        ]
        events.append({"type": "response.output_item.done", "output_index": index, "item": thought})
    if said.words:
        text = "".join(said.words)
        part = {"type": "output_text", "text": text, "annotations": []}
        index, message = item("message", role="assistant", content=[part])
        place = {"item_id": message["id"], "output_index": index, "content_index": 0}
        events.append({"type": "response.output_item.added", "output_index": index, "item": message | {"content": []}})
        events.append({"type": "response.content_part.added", **place, "part": part | {"text": ""}})
        events += [
            {"type": "response.output_text.delta", **place, "delta": word, "logprobs": []} for word in said.words
        ]
        events.append({"type": "response.output_text.done", **place, "text": text})
        events.append({"type": "response.content_part.done", **place, "part": part})
        events.append({"type": "response.output_item.done", "output_index": index, "item": message})
    for call_id, name, arguments in said.calls:
        index, call = item("function_call", call_id=call_id, name=name, arguments=arguments)
        place = {"item_id": call["id"], "output_index": index}
        events.append(
            {
                "type": "response.output_item.added",
                "output_index": index,
                "item": call | {"arguments": "", "status": "in_progress"},
            }
        )
        events += [
            {"type": "response.function_call_arguments.delta", **place, "delta": part}
            for part in halves(rng, arguments)
        ]
        events.append({"type": "response.function_call_arguments.done", **place, "arguments": arguments})
        events.append({"type": "response.output_item.done", "output_index": index, "item": call})
    output = [] if rng.random() < 0.1 else output
    events.append({"type": "response.completed", "response": {"status": "completed", "model": "m", "output": output}})
    dropped = rng.choice(({"output_index", "content_index"}, {"item_id"}, set(), set(), set()))
    events = [{name: value for name, value in event.items() if name not in dropped} for event in events]
    return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events]


def with_fault(rng: random.Random, events: list[bytes], fault: str) -> list[bytes]:
    """What arrives of the stream, in chunks of random size."""
    at = rng.randrange(len(events))
    match fault:
        case "error":
            events = [*events[:at], b'data: {"error": {"code": "server_error", "message": "boom"}}\n\n', *events[at:]]
        case "duplicate":
            events = [*events[: at + 1], *events[at:]]
        case "reorder":
            events = [*events[:at], *reversed(events[at : at + 2]), *events[at + 2 :]]
        case "junk":
            events = [*events[:at], rng.choice(JUNK), *events[at:]]
        case "lose":
            events = [*events[:at], *events[at + 1 :]]
    body = b"".join(events)
    if fault in ("cut", "reset", "death"):
        body = body[: rng.randrange(len(body))]
    size = rng.choice((7, 100, 10_000))
    return [body[begin : begin + size] for begin in range(0, len(body), size)]


@dataclass
class Job:
    """A job, its log, and what is read of it at the end."""

    task: Any
    record: JobRecord
    log: list[Event] = field(default_factory=list)
    view: Any = None


def run_attempt(rng: random.Random, job: Job, call, events: list[bytes], fault: str):
    """Returns the answer, or the error code of the attempt."""
    stream, deltas, error = AnswerStream(), [], None
    stream.parser = call.parser
    try:
        for chunk in with_fault(rng, events, fault):
            deltas += stream.deltas(chunk)
        stream.end()
        if fault == "death" or (fault == "reset" and not stream.is_complete):
            error = "worker_lost"
        else:
            deltas += stream.flush()
    except AttemptError as failed:
        error = failed.code
    kept = [delta for delta in deltas if delta.text or delta.data is not None]
    if fault == "death":
        kept = kept[: rng.randrange(len(kept) + 1)]
    write_log(rng, job, kept)
    if error:
        return error
    text = "".join(delta.text for delta in kept)
    body = next((delta.body for delta in reversed(deltas) if delta.body), None)
    reason = next((delta.finish_reason for delta in reversed(deltas) if delta.finish_reason), None)
    kind = CompletionAnswer if isinstance(job.task, CompletionTask) else ResponseAnswer
    usage = Usage(input_tokens=1, output_tokens=1, total_tokens=2)
    return kind(
        text=text or output_text_of((body or {}).get("output") or ()),
        model="m",
        finish_reason=reason,
        usage=usage,
        body=body,
    )


def write_log(rng: random.Random, job: Job, deltas) -> None:
    """Groups the deltas as the event writer does: those of one write become few events."""
    job.log.append(Event(sequence_number=len(job.log), type="in_progress", attempt=1))
    while deltas:
        size = rng.randrange(1, 6)
        lines, deltas = _events(deltas[:size]), deltas[size:]
        job.log += read_events([line.encode() for line in lines], len(job.log))


def run_job(rng, is_response, options):
    supports_responses = is_response and rng.random() < 0.6
    said = script(rng)
    body = {"input": "hi"} if is_response else {"messages": [], "n": said.choices}
    kind: Any = ResponseTask if is_response else CompletionTask
    task: Any = kind.model_validate(
        {"kind": "response" if is_response else "completion", "body": body, "stream_options": options}
    )
    record = JobRecord(
        job_id="job_" + "0" * 32, kind=task.kind, tenant="t", queue="q", state=State.QUEUED, version=1, seq=1,
        attempts=0, max_attempts=4, created_at_ms=1_000, model="m",
    )  # fmt: skip
    job = Job(task, record)
    outcome = "none"
    for attempt in range(4):
        call = response_call(job.task, SETTINGS) if supports_responses else completion_call(job.task, SETTINGS)
        events = response_events(rng, said) if supports_responses else chat_events(rng, said)
        log_start = len(job.log) + 1
        outcome = run_attempt(rng, job, call, events, rng.choice(FAULTS) if attempt < 3 else "none")
        if not isinstance(outcome, str) or outcome in ("provider_broken", "provider_rejected_request"):
            break
        job.log.append(Event(sequence_number=len(job.log), type="attempt_incomplete", attempt=1))
        said = variant(rng, said)
    if isinstance(outcome, str):
        state, answer, error = State.FAILED, None, JobError(code=outcome, message="m")
    else:
        state = State.INCOMPLETE if outcome.finish_reason in TRUNCATED_REASONS else State.COMPLETED
        answer, error = outcome, None
    job.log.append(Event(sequence_number=len(job.log), type=state.value, error=error))
    job.view = JobView(
        record=record.model_copy(
            update={"state": state, "attempts": 1, "log_start": log_start, "log_length": len(job.log)}
        ),
        answer=answer,
        error=error,
    )
    return job


def read_stream(job: Job, encoder) -> list[dict]:
    """The data of each message that a reader receives who was there from the beginning."""
    output = encoder.start(job.record)
    for event in job.log:
        if encoder.is_finished:
            break
        output += encoder.encode(event)
        if event.is_final and not encoder.is_finished:
            output += encoder.finish(job.view)
    assert encoder.is_finished
    lines = [line[6:] for line in output.decode().split("\n") if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def check_response(job: Job, messages: list[dict]) -> None:
    answer = response_object(JobSnapshot(job.view.record, job.task, job.view.answer, job.view.error))
    final_calls = [(i["call_id"], i["name"], i["arguments"]) for i in answer["output"] if i["type"] == "function_call"]
    done_messages = [m for m in messages if m["type"] == "response.output_item.done"]
    done = [m["item"] for m in sorted(done_messages, key=lambda message: message["output_index"])]
    calls = [(i["call_id"], i["name"], i["arguments"]) for i in done if i["type"] == "function_call"]
    assert [m["sequence_number"] for m in messages] == list(range(len(messages)))
    last = messages[-1]
    if last["type"] in ("response.failed", "response.cancelled", "error"):
        assert not calls or (job.task.stream_options and job.task.stream_options.include_arguments)
        return
    told = "".join(m["delta"] for m in messages if m["type"] == "response.output_text.delta")
    assert told == output_text_of(last["response"]["output"]) == output_text_of(answer["output"])
    assert calls == final_calls
    assert [item["id"] for item in done] == [item["id"] for item in last["response"]["output"]]
    arguments = {}
    for message in messages:
        if message["type"] == "response.function_call_arguments.delta":
            arguments[message["output_index"]] = arguments.get(message["output_index"], "") + message["delta"]
    assert [arguments.get(n, "") for n, i in enumerate(done) if i["type"] == "function_call"] == [c[2] for c in calls]


def check_completion(job: Job, messages: list[dict]) -> None:
    is_error = "error" in messages[-1]
    texts, calls, reasons = {}, {}, {}
    for message in messages:
        for choice in message.get("choices", ()):
            index = choice["index"]
            assert index not in reasons
            texts[index] = texts.get(index, "") + (choice["delta"].get("content") or "")
            for fragment in choice["delta"].get("tool_calls", ()):
                call = calls.setdefault(index, {}).setdefault(fragment["index"], ["", "", ""])
                function = fragment["function"]
                for place, value in enumerate((fragment.get("id"), function.get("name"), function.get("arguments"))):
                    call[place] += value or ""
            if choice["finish_reason"]:
                reasons[index] = choice["finish_reason"]
    if is_error:
        assert not reasons
        assert not calls or (job.task.stream_options and job.task.stream_options.include_arguments)
        return
    completion = completion_object(JobSnapshot(job.view.record, job.task, job.view.answer, job.view.error))
    for choice in completion["choices"]:
        index, message = choice["index"], choice["message"]
        assert texts.pop(index, "") == (message["content"] or "")
        final = [[c["id"], c["function"]["name"], c["function"]["arguments"]] for c in message.get("tool_calls", ())]
        assert [call for _, call in sorted(calls.pop(index, {}).items())] == final
        assert reasons[index] == choice["finish_reason"]
    assert not texts
    assert not calls


def check_native(job: Job, messages: list[dict]) -> None:
    """Read as docs/http-api.md says: the text is cleared on every in_progress."""
    text = ""
    for message in messages:
        if message.get("type") == "in_progress":
            text = ""
        elif message.get("type") == "delta":
            text += message["text"]
    if job.view.answer is not None:
        assert text == job.view.answer.text


def check_resumed(job: Job, messages: list[dict], after: int) -> None:
    """A reader that resumes after a number gets the rest."""
    resumed = read_stream(job, ResponseEncoder(JobSnapshot(job.record, job.task), after))
    assert resumed == messages[after + 1 :]


@pytest.mark.parametrize("batch", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, BATCHES))])
def test_a_stream_contains_only_what_the_answer_contains(batch):
    """Read in all three formats: the streamed text is that of the answer, and each streamed call is in it."""
    for number in range(batch * CASES // BATCHES, (batch + 1) * CASES // BATCHES):
        rng = random.Random(number)
        options = StreamOptions(include_arguments=True) if rng.random() < 0.2 else None
        job = run_job(rng, number % 2 == 0, options)
        snapshot = JobSnapshot(job.record, job.task)
        try:
            check_native(job, read_stream(job, NativeEncoder()))
            check_response(job, messages := read_stream(job, ResponseEncoder(snapshot)))
            check_resumed(job, messages, rng.randrange(len(messages)) - 1) if number % 5 == 0 else None
            check_completion(job, read_stream(job, CompletionEncoder(snapshot)))
        except AssertionError as error:
            error.add_note(f"case {number}")
            raise


def restarted_job(*last):
    """A job whose second attempt differs from the first one."""
    task: Any = ResponseTask(kind="response", body={"input": "hi"}, background=True)
    record = JobRecord(
        job_id="job_" + "0" * 32, kind="response", tenant="t", queue="q", state=State.IN_PROGRESS, version=1, seq=1,
        attempts=1, max_attempts=4, created_at_ms=1_000, model="m", log_start=4,
    )  # fmt: skip
    kinds = [("in_progress", None), ("delta", "one"), ("attempt_incomplete", None), ("in_progress", None), *last]
    log = [Event(sequence_number=number, type=kind, text=text) for number, (kind, text) in enumerate(kinds)]
    return Job(task, record, log)


def read_while_running(job, after=None):
    """The types and deltas that a reader receives of the log so far, and whether its stream has ended."""
    encoder = ResponseEncoder(JobSnapshot(job.record, job.task), after)
    output = encoder.start(job.record) + b"".join(encoder.encode(event) for event in job.log)
    data = [json.loads(line[6:]) for line in output.decode().split("\n") if line.startswith("data: ")]
    return [event.get("delta") or event["type"].removeprefix("response.") for event in data], encoder.is_finished


def test_a_reader_who_comes_after_a_restart_gets_the_new_answer_while_it_is_written():
    """Until the new attempt has said enough, it is unknown whether it differs, so nothing is sent."""
    assert read_while_running(restarted_job()) == ([], False)
    received, has_ended = read_while_running(restarted_job(("delta", "two")))

    assert received == ["created", "in_progress", "output_item.added", "content_part.added", "two"]
    assert not has_ended


def test_a_reader_who_comes_after_an_attempt_that_is_repeated_gets_one_answer():
    """It waits until the new attempt has come as far as the first one."""
    assert read_while_running(restarted_job(("delta", "on"))) == ([], False)
    received, has_ended = read_while_running(restarted_job(("delta", "one more")))

    assert received[-2:] == ["one", " more"]
    assert not has_ended


def test_a_reader_with_the_last_number_of_a_stream_gets_the_next_one():
    """The number of `response.failed` and every number before it belong to the first stream."""
    job = restarted_job(("delta", "two"))
    first, has_ended = read_while_running(job, 0)
    after_the_end = len(first)

    assert (first[-1], has_ended) == ("failed", True)
    assert read_while_running(job, after_the_end) == read_while_running(job)
