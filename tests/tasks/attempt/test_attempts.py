"""Jobs on a real worker: answered, retried and failed, checked in the record, the event log and the provider."""

import json
import signal
import time

import pytest

from jobs import queries
from jobs.states import State
from jobs.storage import keys
from tests.support.offline_model import calls, directive, key
from tests.support.waiting import until

CANARY = "canary-3d71"

pytestmark = pytest.mark.usefixtures("worker")


def events(redis_client, job_id):
    return [json.loads(line) for line in redis_client.lrange(keys.events(job_id), 0, -1)]


def test_the_stream_of_a_chat_equals_its_answer(client, redis_client):
    """A client that joins the deltas of the stream gets exactly the stored answer."""
    job_id = client.submit("[[offline tokens=40 interval=0.01]] hi")

    assert client.ended(job_id).state is State.COMPLETED
    answer, error = client.outcome(job_id)
    log = events(redis_client, job_id)
    assert answer.text == " ".join(f"w{number}" for number in range(40))
    assert "".join(event["text"] for event in log if event["type"] == "delta") == answer.text
    assert (answer.usage.output_tokens, answer.finish_reason, error) == (40, "stop", None)
    assert [log[0]["type"], log[-1]["type"]] == ["in_progress", "completed"]


def test_tokens_that_arrive_together_are_written_together(client, redis_client):
    """Coalescing keeps the number of events, and of writes, far below the number of tokens."""
    job_id = client.submit("[[offline tokens=200 interval=0.002]]")

    client.ended(job_id)
    deltas = [event for event in events(redis_client, job_id) if event["type"] == "delta"]
    assert 2 <= len(deltas) < 100
    assert client.record(job_id).usage.output_tokens == 200


def test_embeddings_are_answered(client):
    """Equal texts get equal vectors, in the order of the input."""
    job_id = client.embed("one text", "another", "one text")

    assert client.ended(job_id).state is State.COMPLETED
    answer, _ = client.outcome(job_id)
    assert answer.vectors[0] == answer.vectors[2] != answer.vectors[1]


def test_an_answer_cut_off_by_the_provider_is_incomplete(client):
    """A client must not take a cut answer for a complete one. The finish reason names the cause."""
    job_id = client.submit("[[offline tokens=3 filter=1]]")

    assert client.ended(job_id).state is State.INCOMPLETE
    answer, _ = client.outcome(job_id)
    assert answer.finish_reason == "content_filter"


@pytest.mark.parametrize(
    ("words", "code"), [("status=400", "provider_rejected_request"), ("status=401", "provider_auth_failed")]
)
def test_a_rejected_request_fails_without_a_retry(client, model_url, words, code):
    """One call, a clear code, and neither key nor prompt in the stored error."""
    name = key()
    job_id = client.submit(directive(words, name, CANARY))

    record = client.ended(job_id)
    _, error = client.outcome(job_id)
    assert (record.state, record.attempts, record.error_code) == (State.FAILED, 1, code)
    assert error.code == code
    assert "canary" not in error.message
    assert calls(model_url, name)["calls"] == 1


@pytest.mark.parametrize("words", ["status=500", "status=429", "cut=3", "end=3", "stall=3"])
def test_a_transient_fault_is_retried_and_the_answer_comes_from_one_attempt(client, model_url, redis_client, words):
    """After two faults the answer contains the text of the last attempt only, and the log shows where each ended."""
    name = key()
    job_id = client.submit(directive(f"{words} times=2 say=fine", name))

    assert client.ended(job_id).state is State.COMPLETED
    answer, _ = client.outcome(job_id)
    log = events(redis_client, job_id)
    starts = [position for position, event in enumerate(log) if event["type"] == "in_progress"]
    assert answer.text == "fine"
    assert [event["type"] for event in log if event["type"] != "delta"] == [
        *["in_progress", "attempt_incomplete"] * 2,
        "in_progress",
        "completed",
    ]
    assert "".join(event["text"] for event in log[starts[-1] :] if event["type"] == "delta") == "fine"
    assert (client.record(job_id).attempts, calls(model_url, name)["calls"]) == (3, 3)


def test_a_permanent_fault_fails_with_the_number_of_attempts(client, model_url, redis_client):
    """After its last attempt the job fails; the error names the number of attempts, and each one is listed."""
    name = key()
    job_id = client.submit(directive("status=503", name))

    record = client.ended(job_id)
    _, error = client.outcome(job_id)
    assert (record.state, record.attempts) == (State.FAILED, 4)
    assert "4 of 4 attempts" in error.message
    assert calls(model_url, name)["calls"] == 4
    entries = [json.loads(entry) for entry in redis_client.lrange(keys.attempts(job_id), 0, -1)]
    assert [entry["attempt"] for entry in entries] == [1, 2, 3, 4]


def test_retry_after_is_honoured_and_holds_no_slot(client, model_url, redis_client):
    """A waiting job is queued without a lease, and the provider is not called before the time that it requested."""
    name = key()
    started = time.time()
    job_id = client.submit(directive("status=429 retry_after=1.5 times=1 say=ok", name))

    waiting = until(lambda: (record := client.record(job_id)).waits and record)
    assert waiting.state is State.QUEUED
    assert redis_client.zcard(keys.LEASES) == 0
    assert client.ended(job_id).state is State.COMPLETED
    assert time.time() - started >= 1.5
    assert calls(model_url, name)["calls"] == 2


def test_a_stock_celery_client_gets_and_awaits_answers(client, stock_celery):
    """`AsyncResult(id).get()` needs none of our code: it returns for a finished job, and wakes up for a running one."""
    finished = client.submit("[[offline say=early]]")
    client.ended(finished)
    running = client.submit("[[offline say=later delay=0.5]]")

    assert stock_celery.AsyncResult(finished).get(timeout=10)["text"] == "early"
    assert stock_celery.AsyncResult(running).get(timeout=10)["text"] == "later"


def test_no_prompt_answer_or_key_is_logged(client, worker, model_url):
    """This holds at the most verbose log level, for success, retry, rejection, a cut stream and garbage."""
    prompts = [
        f"[[offline say={CANARY}]] {CANARY}",
        *(directive(f"{words} times=1", key(), CANARY) for words in ("status=500", "cut=2", "stall=1")),
        *(directive(words, key(), CANARY) for words in ("status=400", "status=401", "garbage=1", "garbage=3")),
    ]
    job_ids = [client.submit(prompt) for prompt in prompts]
    job_ids.append(client.embed(CANARY))

    for job_id in job_ids:
        client.ended(job_id)
    until(lambda: all(f"job_finished job_id={job_id}" in worker.output for job_id in job_ids))
    assert "canary" not in worker.output


def test_a_job_whose_request_cannot_be_read_waits_and_no_part_of_the_request_is_logged(client, redis_client, worker):
    """The tries count neither as attempts nor as worker losses."""
    worker.send(signal.SIGSTOP)
    try:
        job_id = client.submit("hi")
        redis_client.set(keys.request(job_id), f'{{"metadata":{{"{CANARY}-unreadable":')
    finally:
        worker.send(signal.SIGCONT)
    worker.wait_for(f"job_requeued job_id={job_id}")
    record = client.store.run(queries.record(job_id))

    assert (record.state, record.error_code, record.attempts, record.worker_losses) == (
        State.QUEUED,
        "request_unreadable",
        0,
        0,
    )
    assert worker.output.count("job_put_back needs=request") == 1
    assert f"{CANARY}-unreadable" not in worker.output
