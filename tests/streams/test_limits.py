"""A job's time limits and its usage, with a worker that makes real calls."""

import os
import signal
from contextlib import contextmanager
from datetime import datetime

import pytest

from jobs.states import State
from tests.streams.reading import event_types, final_text, words
from tests.support.offline_model import calls, directive
from tests.support.waiting import until

LONG = "tokens=1000 interval=0.02"


DEPLOYMENT = {"webs": 1, "workers": 1}


@contextmanager
def paused(worker):
    """The worker starts no job during the block."""
    os.kill(worker.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(worker.pid, signal.SIGCONT)


def task(web, job_id):
    return web.call("GET", f"/api/v1/tasks/{job_id}")[1]


def test_a_job_cancelled_by_its_time_limit_keeps_its_output(deployment, web, name):
    """The provider's call is closed, and the stored text and usage equal those of the stream."""
    job_id = web.submit(directive(LONG, name), limits={"cancel_after_seconds": 1})
    reader = web.follow(job_id)
    reader.read_to_end()
    reader.close()

    chat = web.chat(job_id)
    until(lambda: calls(deployment.model_url, name)["closed_early"] == 1)
    assert event_types(reader.messages) == ["in_progress", "cancelled"]
    assert (chat["status"], chat["answer"]) == ("cancelled", final_text(reader.numbered))
    assert words(1000).startswith(chat["answer"])
    assert chat["answer"].startswith("w0 w1")
    assert chat["usage"]["estimated"] is True
    assert chat["usage"]["output_tokens"] == len(chat["answer"].split())
    assert task(web, job_id)["usage"] == chat["usage"]


@pytest.mark.parametrize(
    ("limits", "state", "code"),
    [
        ({"deadline_seconds": 0.6, "cancel_after_seconds": 30}, State.FAILED, "deadline_exceeded"),
        ({"deadline_seconds": 30, "cancel_after_seconds": 0.6}, State.CANCELLED, None),
    ],
)
def test_the_first_limit_to_pass_decides_the_outcome(deployment, web, name, limits, state, code):
    """A running job has several limits, and the earliest one decides its state and code."""
    job_id = web.submit(directive(LONG, name), limits=limits)

    until(lambda: deployment.record(job_id).state.is_final)
    assert (deployment.record(job_id).state, deployment.record(job_id).error_code) == (state, code)
    until(lambda: calls(deployment.model_url, name)["closed_early"] == 1)


def test_start_by_does_not_apply_to_later_attempts(web, name):
    """A job that began in time must not fail while it waits for its next attempt."""
    job_id = web.submit(
        directive("status=503 retry_after=1.2 times=1 say=fine", name), limits={"start_by_seconds": 0.6}
    )

    assert (web.chat(job_id)["answer"], task(web, job_id)["attempts"]) == ("fine", 2)


def test_usage_is_estimated_until_the_provider_reports_it(web, name):
    """The estimate grows, and each streamed chunk counts as a token."""
    job_id = web.submit(directive("tokens=50 interval=0.02", name))
    first = until(lambda: task(web, job_id)["usage"])
    later = until(lambda: (now := task(web, job_id)["usage"])["output_tokens"] > first["output_tokens"] and now)

    assert (first["estimated"], later["estimated"]) == (True, True)
    assert first["total_tokens"] == first["input_tokens"] + first["output_tokens"]
    ended = web.chat(job_id)["usage"]
    assert (ended["estimated"], ended["output_tokens"]) == (False, 50)
    assert task(web, job_id)["usage"] == ended


ALL_OPTIONS = {
    "system": "Answer briefly.",
    "history": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}],
    "model": "model-x",
    "temperature": 0,
    "max_output_tokens": 5,
    "metadata": {"customer": "4711"},
    "limits": {
        "max_attempts": 2,
        "deadline_seconds": 60,
        "start_by_seconds": 50,
        "cancel_after_seconds": 40,
        "attempt_seconds": 30,
        "first_token_seconds": 20,
        "idle_seconds": 10,
    },
}


def test_a_submission_returns_the_stored_job(deployment, web, name):
    """The response to a submit equals the stored job, with all options, and shows the limits as times."""
    body = {"kind": "chat", "message": directive("say=ok", name), **ALL_OPTIONS}
    with paused(deployment.fleet.workers[0]):
        answered = web.call("POST", "/api/v1/tasks", body, **{"Idempotency-Key": name})
        read = task(web, answered[1]["task_id"])

    created = datetime.fromisoformat(read["created_at"])
    limits = [datetime.fromisoformat(read[at]) - created for at in ("deadline_at", "start_by", "cancel_at")]
    assert answered[0] == 202
    assert read == answered[1] | {"failed_attempts": []}
    assert [limit.total_seconds() for limit in limits] == [60, 50, 40]


@pytest.mark.parametrize("limit", ["deadline_seconds", "start_by_seconds", "cancel_after_seconds"])
@pytest.mark.parametrize("value", [0, -1, 604_801, "5", True])
def test_an_invalid_limit_is_rejected_by_name(web, limit, value):
    """The error points to the limit."""
    for path, more in (("chat/async", {}), ("chat/sync", {}), ("tasks", {"kind": "chat"})):
        status, problem = web.call("POST", f"/api/v1/{path}", {"message": "m", "limits": {limit: value}, **more})

        assert (status, problem["error"]["code"]) == (422, "invalid_request")
        assert limit in problem["error"]["param"]
