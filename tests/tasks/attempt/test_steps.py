"""The steps of an attempt: the writes for each of its endings."""

import asyncio
from dataclasses import replace

import pytest

from jobs.errors import InternalError, ProviderRejected, ProviderRetryable, StoreUnavailable
from jobs.kinds.chat import ChatTask
from jobs.states import State
from tasks.attempt.outcomes import Finished, Retrying, Skipped
from tasks.attempt.steps import attempt
from tasks.handlers import chat
from tasks.heartbeat import StopReason
from tasks.provider.formats.delta import Delta
from tests.tasks.attempt.fakes import ScriptedProvider, ScriptedStore, make_services

JOB_ID = "job_" + "0" * 32
REQUEST = ChatTask(kind="chat", message="hi").model_dump_json().encode()
CLAIMED = [b"claimed", 1, 1, 1, 0, 0, 3, 60_000, REQUEST, b"", 0, 0, 0, b"req_1", 5]
HELLO = Delta(text="Hello")


def store(**replies):
    answers = {
        "claim": [CLAIMED],
        "append": [[b"appended", 2]],
        "finish": [[b"finished"]],
        "release": [[b"released", 5]],
    }
    return ScriptedStore(**(answers | replies))


def run(scripted_store, *deltas):
    services = make_services(scripted_store, ScriptedProvider(*deltas))
    outcome = asyncio.run(attempt(services, JOB_ID))

    assert services.heartbeat.tracked == []
    return outcome


def test_an_answer_is_written_once_with_its_events():
    """The whole attempt costs one claim, the appends of its stream, and one final write."""
    scripted_store = store()

    assert run(scripted_store, HELLO, Delta(finish_reason="stop")) == Finished(State.COMPLETED)
    assert [name for name in scripted_store.names if name != "append"] == ["claim", "finish"]


@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_a_truncated_answer_ends_the_job_incomplete(reason):
    """`completed` means that the answer is complete."""
    assert run(store(), HELLO, Delta(finish_reason=reason)) == Finished(State.INCOMPLETE)


def test_a_failed_job_keeps_its_partial_text():
    """The text that was streamed before the failure is stored with the error."""
    scripted_store = store()

    outcome = run(scripted_store, HELLO, ProviderRejected("no"))

    assert (outcome.state, outcome.error.message) == (State.FAILED, "no")
    assert '"partial": {"kind": "chat"' in scripted_store.sent("finish")
    assert '"text": "Hello"' in scripted_store.sent("finish")


def test_a_job_that_fails_without_text_keeps_no_partial_answer():
    """An empty partial answer would look like an answer."""
    scripted_store = store()

    run(scripted_store, ProviderRejected("no"))

    assert '"partial": null' in scripted_store.sent("finish")


def test_a_retryable_error_queues_the_job_again():
    """A bad minute of the provider must not fail the job."""
    outcome = run(store(), HELLO, ProviderRetryable("busy", code="provider_unavailable"))

    assert isinstance(outcome, Retrying)
    assert (outcome.error.code, outcome.retry_at_ms) == ("provider_unavailable", 5)


@pytest.mark.parametrize("crash", [KeyError("canary"), SystemExit(1), KeyboardInterrupt()])
def test_a_crash_of_the_work_is_a_failed_attempt(crash):
    """A SystemExit that left the task would end the event loop, and with it every other attempt of the process."""
    scripted_store = store()

    outcome = run(scripted_store, HELLO, crash)

    assert outcome.error.code == "attempt_crashed"
    assert "canary" not in scripted_store.sent("release")


def test_an_answer_that_cannot_be_written_is_dropped_and_the_attempt_ends():
    """Without the second write the lease would expire, and the attempt would count as a worker loss."""
    scripted_store = store(finish=[InternalError("half a character")])

    outcome = run(scripted_store, HELLO)

    assert outcome.error.code == "attempt_crashed"
    assert [name for name in scripted_store.names if name != "append"] == ["claim", "finish", "release"]


@pytest.mark.parametrize(
    ("replies", "deltas"),
    [
        ({"finish": [b"lost"]}, [HELLO]),
        ({"finish": [b"lost"]}, [ProviderRejected("no")]),
        ({"release": [[b"lost"]]}, [ProviderRetryable("busy")]),
        ({"finish": [InternalError("x")], "release": [[b"lost"]]}, [HELLO]),
    ],
)
def test_a_lost_lease_is_not_an_error(replies, deltas):
    """Another attempt holds the job. This attempt must end without an exception, whichever of its writes is refused."""
    assert run(store(**replies), *deltas) == Skipped("lease_lost")


@pytest.mark.parametrize("script", ["claim", "finish"])
def test_an_unavailable_store_skips_the_job(script):
    """The worker is stopping: the lease expires, and another worker takes the job."""
    assert run(store(**{script: [StoreUnavailable("away")]}), HELLO) == Skipped("store_unavailable")


def test_a_job_of_another_worker_is_skipped():
    """A late or duplicate message costs one claim and no call to the provider."""
    scripted_store = store(claim=[[b"busy"]])

    assert run(scripted_store) == Skipped("busy")
    assert scripted_store.names == ["claim"]


def test_a_job_whose_request_cannot_be_read_is_put_back_uncounted():
    """A worker of another version may be able to read it."""
    scripted_store = store(claim=[[*CLAIMED[:8], b"{", *CLAIMED[9:]]])

    outcome = run(scripted_store)

    assert isinstance(outcome, Retrying)
    assert (outcome.error.code, outcome.retry_at_ms) == ("request_unreadable", 5)
    assert scripted_store.names == ["claim", "release"]
    assert "put_back" in scripted_store.sent("release")


def test_a_job_whose_request_is_lost_fails():
    """No version could read what Redis no longer has."""
    outcome = run(store(claim=[[*CLAIMED[:8], None, *CLAIMED[9:]]]))

    assert (outcome.state, outcome.error.code) == (State.FAILED, "request_lost")


def test_each_reason_to_put_jobs_back_is_warned_of_once(caplog):
    """A deploy puts the same jobs back again and again: a warning for each try would fill the log."""
    services = make_services(
        store(claim=[[b"unable", b"chat.audio"], [b"unable", b"chat.audio"], [b"unable", b"new"]]), None
    )

    outcomes = [asyncio.run(attempt(services, JOB_ID)) for _ in range(3)]

    assert outcomes == [Skipped("unable")] * 3
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        f"job_put_back needs=chat.audio job_id={JOB_ID}",
        f"job_put_back needs=new job_id={JOB_ID}",
    ]


def stop_at(delta_number, reason):
    """The outcome of an attempt that is stopped while the given delta is awaited, and its store."""
    scripted_store = store()
    services = make_services(scripted_store, None)
    provider = StoppedProvider(services.heartbeat, delta_number, reason)
    return asyncio.run(attempt(replace(services, provider=provider), JOB_ID)), scripted_store


class StoppedProvider:
    """Streams two deltas, and stops the attempt before the given one."""

    def __init__(self, heartbeat, delta_number, reason) -> None:
        self.heartbeat, self.delta_number, self.reason = heartbeat, delta_number, reason

    async def chat(self, _request, _timeouts, _target=""):
        for number in range(2):
            if number == self.delta_number:
                self.heartbeat.latest.stop(self.reason)
            await asyncio.sleep(0)
            yield HELLO


def test_a_draining_worker_releases_the_job_uncounted():
    """A deploy must not use up one of the job's attempts."""
    outcome, scripted_store = stop_at(1, StopReason.WORKER_STOPPING)

    assert outcome == Retrying(None, 5)
    assert "refund" in scripted_store.sent("release")


def test_a_lost_lease_stops_the_call_and_writes_nothing():
    """A cancelled job stays cancelled, and its connection to the provider closes."""
    outcome, scripted_store = stop_at(1, StopReason.LEASE_LOST)

    assert outcome == Skipped("lease_lost")
    assert not {"finish", "release"} & set(scripted_store.names)


def test_a_draining_worker_still_writes_a_complete_answer(monkeypatch):
    """The answer is paid for: extracting its citations must not be interrupted, and the job must not run again."""
    build_answer = chat._build_answer
    services = make_services(store(), ScriptedProvider(HELLO))

    async def build_while_draining(accumulator):
        services.heartbeat.latest.stop(StopReason.WORKER_STOPPING)
        await asyncio.sleep(0)
        return await build_answer(accumulator)

    monkeypatch.setattr(chat, "_build_answer", build_while_draining)

    assert asyncio.run(attempt(services, JOB_ID)) == Finished(State.COMPLETED)
