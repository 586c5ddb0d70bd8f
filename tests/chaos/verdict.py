"""The verdict on a row: the outcome of every accepted job, and the state of Redis and workers after the last one."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from redis import Redis

from jobs import queries
from jobs.kinds.chat import ChatAnswer
from jobs.models import JobRecord, Lane
from jobs.states import FINAL_STATES, State
from jobs.storage import celery_result, keys
from tests.chaos.calls import Calls
from tests.chaos.environment import Environment
from tests.chaos.jobs_sent import AcceptedJob

SLOT_SECONDS = 5.0  # length of the jobs that fill all slots simultaneously
_INDEX_KEYS = (keys.LEASES, keys.WAITING, keys.DEADLINES)


@dataclass(frozen=True)
class Verdict:
    """The counts of a row. ``doubles`` are jobs without exactly one consistent outcome."""

    jobs: int
    lost: int
    stuck: int
    doubles: int
    overlaps: int
    unseen_overlaps: int
    extra_calls: int
    failures: tuple[str, ...]

    @property
    def is_met(self) -> bool:
        return not (self.lost or self.stuck or self.doubles or self.overlaps or self.failures)


def evaluate(environment: Environment, end_seconds: float) -> Verdict:
    """Wait until all jobs have ended, then check records, answers, logs, indexes and slots."""
    _wait_for_the_end(environment, end_seconds)
    sent = list(environment.client.sent)
    records = {job.job_id: environment.client.store.run(queries.record(job.job_id)) for job in sent}
    calls = environment.calls()
    known = [(job, record) for job in sent if (record := records[job.job_id])]
    ended = [(job, record) for job, record in known if record.state.is_final]
    doubles = [job.job_id for job, record in ended if list(_faults(environment, job, record))]
    failures = [*environment.failures, *_wrong_ends(ended), *_orphaned_entries(environment), *_slots(environment)]
    failures += [fault for job, record in ended for fault in _faults(environment, job, record)][:3]
    return Verdict(
        jobs=len(sent),
        lost=len(sent) - len(known),
        stuck=len(known) - len(ended),
        doubles=len(doubles),
        overlaps=len([key for key in calls.overlapping() if key not in environment.unseen_overlaps]),
        unseen_overlaps=len([key for key in calls.overlapping() if key in environment.unseen_overlaps]),
        extra_calls=calls.extra,
        failures=tuple(failures),
    )


def _wait_for_the_end(environment: Environment, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    unfinished = {job.job_id for job in environment.client.sent}
    while unfinished and time.monotonic() < deadline:
        for job_id in list(unfinished):
            record = environment.client.store.run(queries.record(job_id))
            if record is None or record.state.is_final:
                unfinished.discard(job_id)
        time.sleep(0.3)


def _wrong_ends(ended: list[tuple[AcceptedJob, JobRecord]]) -> Iterator[str]:
    """Healthy jobs that failed, and poison jobs that did not fail with their code."""
    wrong_ends: dict[str, int] = {}
    for job, record in ended:
        is_right = record.error_code in job.fails_with if job.fails_with else record.state is State.COMPLETED
        if not is_right:
            description = f"{'poison' if job.fails_with else 'healthy'} {record.state} {record.error_code}"
            wrong_ends[description] = wrong_ends.get(description, 0) + 1
    yield from (f"{count} {description}" for description, count in wrong_ends.items())


def _faults(environment: Environment, job: AcceptedJob, record: JobRecord) -> Iterator[str]:
    """Contradictions: the final event, the stored answer, the log and the record of a job must agree."""
    with environment.redis.client() as redis:
        log = [json.loads(line) for line in redis.lrange(keys.events(job.job_id), 0, -1)]
        stored = redis.get(keys.result(job.job_id))
    finals = [event["type"] for event in log if event["type"] in FINAL_STATES]
    if finals != [record.state]:
        yield f"{job.job_id}: {record.state}, but its log ends with {finals}"
    if stored is None:
        yield f"{job.job_id}: no stored answer"
        return
    answer, error = celery_result.read(stored)
    if record.state is State.COMPLETED:
        if not isinstance(answer, ChatAnswer) or answer.text != job.text or _text_of(log) != job.text:
            yield f"{job.job_id}: its answer, its log and the output of the model differ"
    elif (error and error.code) != record.error_code:
        yield f"{job.job_id}: stored {error and error.code}, recorded {record.error_code}"


def _text_of(log: list[dict[str, str]]) -> str:
    """The text of the last attempt in the log."""
    starts = [number for number, event in enumerate(log) if event["type"] == "in_progress"]
    return "".join(event["text"] for event in log[starts[-1] :] if event["type"] == "delta") if starts else ""


def _orphaned_entries(environment: Environment) -> Iterator[str]:
    """Index entries of ended jobs, indexes that contradict the records, and totals that counted a job twice."""
    with environment.redis.client() as redis:
        ids = redis.zrange(keys.INDEX_ALL, 0, -1)
        states = {job_id: redis.hget(keys.job(job_id), "state") for job_id in ids}
        finals = {job_id for job_id, state in states.items() if state in FINAL_STATES}
        for index_key in (*_INDEX_KEYS, keys.messages(keys.DEFAULT_QUEUE), keys.messages_high(keys.DEFAULT_QUEUE)):
            if orphaned := finals & set(redis.zrange(index_key, 0, -1)):
                yield f"{len(orphaned)} ended jobs left in {index_key}"
        for state in State:
            if set(redis.zrange(keys.index(state), 0, -1)) != {id_ for id_ in ids if states[id_] == state}:
                yield f"cq:index:{state} disagrees with the records"
        yield from waiting_entries(redis)
        totals: Counter[str] = Counter()
        for name, count in redis.hgetall(keys.TOTALS).items():
            totals[str(name).partition(":")[0]] += int(count)
        if sum(totals[state] for state in FINAL_STATES) != len(finals) or totals["created"] != len(ids):
            yield f"totals disagree with {len(ids)} records, {len(finals)} ended: {dict(totals)}"
        if {job.job_id for job in environment.client.sent} - set(ids):
            yield "an accepted job is in no index"


def waiting_entries(redis: Redis) -> Iterator[str]:
    """Lines and counts of calls that are left although every job has ended."""
    left = [str(name) for lane in Lane for name in redis.zrange(f"{keys.NAMESPACE}pools:{lane}", 0, -1)]
    if left:
        yield f"jobs are left in the lines of {left}"
    for name in map(str, redis.smembers(keys.TARGETS)):
        counts = redis.hmget(keys.target(name), "running", "reserved", "reserved_tokens")
        if any(int(count or 0) for count in counts):
            yield f"{name} still counts {counts} calls"


def _slots(environment: Environment) -> Iterator[str]:
    """Every slot must still run a job: submit as many jobs as there are slots and expect them to run simultaneously."""
    if not environment.fleet.workers:
        return
    environment.fleet.wait_until_ready()
    probes = [environment.submit(SLOT_SECONDS) for _ in range(environment.fleet.slots)]
    for probe in probes:
        environment.client.sent.remove(probe)
    max_running, deadline = 0, time.monotonic() + SLOT_SECONDS + 20
    watched = [probe.key for probe in probes]
    while max_running < len(probes) and time.monotonic() < deadline:
        calls = Calls.fetch(environment.model_url).of(watched)
        max_running = max(max_running, calls.open)
        if calls.total and not calls.open and len(calls.ended_after(0)) == len(probes):
            break
        time.sleep(0.1)
    if max_running < len(probes):
        yield f"leaked slots: only {max_running} of {len(probes)} jobs run simultaneously"
