"""A cancel races the end of its job, or the worker's listener misses it: there is one outcome, and it is final."""

import json
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest

from jobs import queries
from jobs.models import JobRecord
from jobs.settings import Settings
from jobs.states import State
from jobs.storage import keys, transitions
from jobs.storage.keys import DEFAULT_QUEUE
from jobs.storage.sync_store import with_script_source
from tests.support.offline_model import calls, directive, key
from tests.support.processes import running
from tests.support.waiting import until
from tests.tasks.conftest import SHORT

RACES = 500
IN_FLIGHT = 10  # few, so that answers end on time
HEARTBEAT_SECONDS = 4
CELERY_STATUS = {State.COMPLETED: "SUCCESS", State.CANCELLED: "REVOKED"}
CANCEL_REPLY = {State.COMPLETED: "final", State.CANCELLED: "cancelled"}


@pytest.fixture(scope="module")
def worker(redis_url, model_url, processes):
    env = {"REDIS_URL": redis_url, "OPENAI_BASE_URL": model_url, "OPENAI_API_KEY": "sk-canary-key", **SHORT}
    args = [sys.executable, "-m", "celery", "-A", "tasks", "worker", "--loglevel", "INFO", "-c", str(IN_FLIGHT)]
    with running(args, ready=" ready.", env=env | {"CHATQUEUE_HEARTBEAT_SECONDS": str(HEARTBEAT_SECONDS)}) as process:
        yield process


@dataclass
class Canceller:
    """Follows all jobs, and cancels each 0 to 50 ms after the first token of an answer that takes another 10 ms."""

    client: Any
    settings: Settings
    random: random.Random
    replies: dict[str, str] = field(default_factory=dict)  # by job: the reply of the cancel
    records: dict[str, JobRecord] = field(default_factory=dict)  # right after the cancel
    written_after_end: list[str] = field(default_factory=list)  # jobs with a write after their final event
    _changes: Counter = field(default_factory=Counter)
    _ended: set[str] = field(default_factory=set)
    _due: dict[str, float] = field(default_factory=dict)

    def follow(self, channel, job_ids):
        """Read messages until every job has been cancelled and has ended."""
        expected = set(job_ids)
        while not (expected <= self._ended and expected <= set(self.replies)):
            message = channel.get_message(timeout=0.002)
            if message is not None:
                self.on_message(message)
            self.cancel_due()

    def on_message(self, message):
        job_id = message["channel"].decode().removeprefix(keys.CHANGED_CHANNEL_PREFIX)
        if job_id in self._ended:
            self.written_after_end.append(job_id)
        if message["data"].startswith(keys.FINAL_CHANGE_PREFIX):
            self._ended.add(job_id)
        self._changes[job_id] += 1
        if self._changes[job_id] == 2:  # the first change is the claim
            self._due[job_id] = time.monotonic() + self.random.uniform(0, 0.05)

    def cancel_due(self):
        now = time.monotonic()
        for job_id in [job_id for job_id, due in self._due.items() if due <= now]:
            del self._due[job_id]
            self.replies[job_id] = self.client.store.run(transitions.cancel(job_id, DEFAULT_QUEUE, self.settings))
            self.records[job_id] = self.client.record(job_id)


def test_a_cancel_and_a_finish_race_to_one_outcome(worker, client, settings, redis_client, model_url):
    """In each of 500 races there is one final event, the last; state, result and counts agree; no write follows."""
    canceller = Canceller(client, settings, random.Random(7))
    with redis_client.pubsub(ignore_subscribe_messages=True) as channel:
        channel.psubscribe(keys.changed_channel("*"))
        name = key()
        job_ids = [client.submit(directive("tokens=3 interval=0.005", name)) for _ in range(RACES)]
        canceller.follow(channel, job_ids)
        until(lambda: calls(model_url, name)["open"] == 0)
        probe = client.submit("[[offline say=done]]")
        client.ended(probe)
        while message := channel.get_message(timeout=0.1):
            canceller.on_message(message)

    outcomes = Counter(client.record(job_id).state for job_id in job_ids)
    assert set(outcomes) == {State.COMPLETED, State.CANCELLED}, outcomes  # both orders must occur
    assert canceller.written_after_end == []
    for job_id in job_ids:
        assert_one_outcome(client.record(job_id), canceller, redis_client)
    totals = client.store.run(queries.totals())
    assert (totals["created"], totals["completed"], totals["cancelled"]) == (
        RACES + 1,
        outcomes[State.COMPLETED] + 1,
        outcomes[State.CANCELLED],
    )
    counts = {state: client.store.run(queries.count(state)) for state in State}
    assert {state: count for state, count in counts.items() if count} == outcomes + Counter([State.COMPLETED])
    assert [redis_client.zcard(index) for index in (keys.LEASES, keys.DEADLINES, keys.WAITING)] == [0, 0, 0]
    assert calls(model_url, name)["calls"] == RACES


def assert_one_outcome(record, canceller, redis_client):
    log = [json.loads(line) for line in redis_client.lrange(keys.events(record.job_id), 0, -1)]
    stored = json.loads(redis_client.get(keys.result(record.job_id)))
    answer = stored["result"] if record.state is State.COMPLETED else stored["partial"]
    finals = [position for position, event in enumerate(log) if event["type"] in set(State)]

    assert record == canceller.records[record.job_id]
    assert canceller.replies[record.job_id] == CANCEL_REPLY[record.state]
    assert stored["status"] == CELERY_STATUS[record.state]
    assert (log[-1]["type"], finals[1:]) == (record.state, [len(log) - 1])  # the first one is in_progress
    assert answer["text"] == "".join(event["text"] for event in log if event["type"] == "delta")


def test_a_cancel_that_the_listener_misses_takes_effect_at_the_next_heartbeat(
    worker, client, settings, redis_client, model_url
):
    """A cancel published during a restart of Redis reaches no listener; it must still close a silent call."""
    name = key()
    job_id = client.submit(directive("delay=60", name))
    until(lambda: calls(model_url, name)["open"] == 1)
    together = redis_client.pipeline(transaction=True)  # the listener cannot come back in between
    together.client_kill_filter(_type="pubsub")
    together.execute_command(*with_script_source(transitions.cancel(job_id, DEFAULT_QUEUE, settings)))
    together.pubsub_numsub(keys.CANCELLED_CHANNEL)
    _, cancelled, listeners = together.execute()
    cancelled_at = time.time()

    assert cancelled == b"cancelled"
    assert listeners == [(keys.CANCELLED_CHANNEL.encode(), 0)]
    until(lambda: calls(model_url, name)["closed_early"] == 1)
    assert calls(model_url, name)["last_closed_early_at"] - cancelled_at < HEARTBEAT_SECONDS + 1
    assert client.record(job_id).state is State.CANCELLED
    until(lambda: redis_client.pubsub_numsub(keys.CANCELLED_CHANNEL)[0][1] == 1)
