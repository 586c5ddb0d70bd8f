"""A stream that is cut anywhere and resumed, from the log or from the answer, ends with the same text and event."""

import pytest

from jobs import lookup
from jobs.kinds.base import TextAnswer
from jobs.states import State
from jobs.storage import keys, transitions
from jobs.tenant_store import default_store
from tests.jobs.conftest import ANSWER, ERROR
from tests.jobs.watch.conftest import FakeListener, drained


def completed_at_the_second_attempt(jobs, job_id):
    lease = jobs.lease(job_id)
    jobs.append(lease, "half ", "an ")
    jobs.release(lease)
    lease = jobs.lease(job_id)
    jobs.append(lease, "forty", "-", "two")
    jobs.finish(lease)


def incomplete(jobs, job_id):
    jobs.append(lease := jobs.lease(job_id), "forty", "-two")
    jobs.finish(lease, State.INCOMPLETE)


def failed_with_partial_text(jobs, job_id):
    jobs.append(lease := jobs.lease(job_id), "half ", "an ")
    partial = ANSWER.model_copy(update={"text": "half an "})
    jobs.store.run(transitions.fail(lease, ERROR, partial, jobs.settings))


def failed_without_text(jobs, job_id):
    jobs.fail(jobs.lease(job_id))


def cancelled_while_queued(jobs, job_id):
    jobs.cancel(job_id)


def cancelled_while_running(jobs, job_id):
    jobs.append(jobs.lease(job_id), "half ", "an ")
    jobs.cancel(job_id)


def cancelled_between_attempts(jobs, job_id):
    jobs.append(lease := jobs.lease(job_id), "half ", "an ")
    jobs.release(lease, how="failures")
    jobs.cancel(job_id)


def cancelled_after_a_refund(jobs, job_id):
    jobs.append(lease := jobs.lease(job_id), "half ", "an ")
    jobs.release(lease, how="refund")
    jobs.cancel(job_id)


@pytest.mark.parametrize(
    "history",
    [
        completed_at_the_second_attempt,
        incomplete,
        failed_with_partial_text,
        failed_without_text,
        cancelled_while_queued,
        cancelled_while_running,
        cancelled_between_attempts,
        cancelled_after_a_refund,
    ],
)
def test_after_any_history_and_any_cut_a_reader_ends_with_the_answer(jobs, counted, redis_client, history):
    """The text and the last event are the same while the log exists and after it has expired."""
    job_id = jobs.create()
    history(jobs, job_id)
    answer = lookup.view(default_store(jobs.store), job_id).answer
    log = [event for batch in drained(counted, FakeListener(), job_id) for event in batch]
    resumed = [rest_of(counted, job_id, after) for after in range(-1, len(log))]
    redis_client.delete(keys.events(job_id))
    replayed = [rest_of(counted, job_id, after) for after in range(-1, len(log))]

    text = answer.text if isinstance(answer, TextAnswer) else ""
    assert [log[:received] + rest for received, rest in enumerate(resumed)] == [log] * len(resumed)
    assert [text_of(log[:received] + rest) for received, rest in enumerate(replayed)] == [text] * len(replayed)
    assert {(log[:received] + rest)[-1].model_dump_json() for received, rest in enumerate(replayed)} == {
        log[-1].model_dump_json()
    }


def rest_of(counted, job_id, after):
    return [event for batch in drained(counted, FakeListener(), job_id, after) for event in batch]


def text_of(events):
    text = ""
    for event in events:
        text = "" if event.type == "in_progress" else text + (event.text or "")
    return text
