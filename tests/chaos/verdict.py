"""What became of every accepted job, and what is left in Redis and in the workers when all have ended."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass

from jobs import queries
from jobs.models import JobRecord
from jobs.states import FINAL_STATES, State
from jobs.storage import celery_result, keys
from tests.chaos.calls import Calls
from tests.chaos.environment import Environment
from tests.chaos.jobs_sent import Sent

SLOT_SECONDS = 5.0  # length of the jobs that take every slot at once
_INDEX_KEYS = (keys.LEASES, keys.WAITING, keys.DEADLINES)


@dataclass(frozen=True)
class Verdict:
    jobs: int
    lost: int
    stuck: int
    doubles: int
    overlaps: int
    unseen_overlaps: int
    extra_calls: int
    misses: tuple[str, ...]

    @property
    def is_met(self) -> bool:
        return not (self.lost or self.stuck or self.doubles or self.overlaps or self.misses)


def evaluate(environment: Environment, end_seconds: float) -> Verdict:
    """Waits for the jobs' ends, then looks at everything."""
    _wait_for_the_end(environment, end_seconds)
    sent = list(environment.client.sent)
    records = {job.job_id: environment.client.store.run(queries.record(job.job_id)) for job in sent}
    calls = environment.calls()
    known = [(job, record) for job in sent if (record := records[job.job_id])]
    ended = [(job, record) for job, record in known if record.state.is_final]
    doubles = [job.job_id for job, record in ended if list(_faults(environment, job, record))]
    misses = [*environment.misses, *_wrong_ends(ended), *_orphaned_entries(environment), *_slots(environment)]
    misses += [fault for job, record in ended for fault in _faults(environment, job, record)][:3]
    return Verdict(
        jobs=len(sent),
        lost=len(sent) - len(known),
        stuck=len(known) - len(ended),
        doubles=len(doubles),
        overlaps=len([key for key in calls.overlapping() if key not in environment.unseen_overlaps]),
        unseen_overlaps=len([key for key in calls.overlapping() if key in environment.unseen_overlaps]),
        extra_calls=calls.extra,
        misses=tuple(misses),
    )


def _wait_for_the_end(environment: Environment, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    left = {job.job_id for job in environment.client.sent}
    while left and time.monotonic() < deadline:
        for job_id in list(left):
            record = environment.client.store.run(queries.record(job_id))
            if record is None or record.state.is_final:
                left.discard(job_id)
        time.sleep(0.3)


def _wrong_ends(ended: list[tuple[Sent, JobRecord]]) -> Iterator[str]:
    """Innocent jobs that failed, and guilty ones that ended otherwise than with their code."""
    wrong: dict[str, int] = {}
    for job, record in ended:
        is_right = record.error_code in job.fails_with if job.fails_with else record.state is State.COMPLETED
        if not is_right:
            what = f"{'guilty' if job.fails_with else 'innocent'} {record.state} {record.error_code}"
            wrong[what] = wrong.get(what, 0) + 1
    yield from (f"{count} {what}" for what, count in wrong.items())


def _faults(environment: Environment, job: Sent, record: JobRecord) -> Iterator[str]:
    """What is not one outcome: final events, the stored answer, the log and the record must say the same."""
    with environment.redis.client() as redis:
        log = [json.loads(line) for line in redis.lrange(keys.events(job.job_id), 0, -1)]
        stored = redis.get(keys.result(job.job_id))
    finals = [event["type"] for event in log if event["type"] in FINAL_STATES]
    if finals != [record.state]:
        yield f"{job.job_id}: {record.state}, but its log ends {finals}"
    if stored is None:
        yield f"{job.job_id}: no stored answer"
        return
    answer, error = celery_result.read(stored)
    if record.state is State.COMPLETED:
        if answer is None or answer.text != job.text or _text_of(log) != job.text:
            yield f"{job.job_id}: its answer, its log and what the model said differ"
    elif (error and error.code) != record.error_code:
        yield f"{job.job_id}: stored {error and error.code}, recorded {record.error_code}"


def _text_of(log: list[dict[str, str]]) -> str:
    """The text of the last attempt in the log."""
    starts = [number for number, event in enumerate(log) if event["type"] == "in_progress"]
    return "".join(event["text"] for event in log[starts[-1] :] if event["type"] == "delta") if starts else ""


def _orphaned_entries(environment: Environment) -> Iterator[str]:
    """Entries of jobs that have ended, indexes that disagree with records, totals that counted twice."""
    with environment.redis.client() as redis:
        ids = redis.zrange(keys.INDEX_ALL, 0, -1)
        states = {job_id: redis.hget(keys.job(job_id), "state") for job_id in ids}
        finals = {job_id for job_id, state in states.items() if state in FINAL_STATES}
        for line in (*_INDEX_KEYS, keys.messages(keys.DEFAULT_QUEUE), keys.messages_high(keys.DEFAULT_QUEUE)):
            if left := finals & set(redis.zrange(line, 0, -1)):
                yield f"{len(left)} ended jobs left in {line}"
        for state in State:
            if set(redis.zrange(keys.index(state), 0, -1)) != {id_ for id_ in ids if states[id_] == state}:
                yield f"cq:index:{state} disagrees with the records"
        totals = {name: int(count) for name, count in redis.hgetall(keys.TOTALS).items()}
        if sum(totals.get(state, 0) for state in FINAL_STATES) != len(finals) or totals.get("created") != len(ids):
            yield f"totals disagree with {len(ids)} records, {len(finals)} ended: {totals}"
        if {job.job_id for job in environment.client.sent} - set(ids):
            yield "an accepted job is in no index"


def _slots(environment: Environment) -> Iterator[str]:
    """Every slot still takes a job: as many as there are slots run at once."""
    if not environment.fleet.workers:
        return
    environment.fleet.wait_until_ready()
    probes = [environment.submit(SLOT_SECONDS) for _ in range(environment.fleet.slots)]
    for probe in probes:
        environment.client.sent.remove(probe)
    most, deadline = 0, time.monotonic() + SLOT_SECONDS + 20
    watched = [probe.key for probe in probes]
    while most < len(probes) and time.monotonic() < deadline:
        calls = Calls.fetch(environment.model_url).of(watched)
        most = max(most, calls.open)
        if calls.total and not calls.open and len(calls.ended_after(0)) == len(probes):
            break
        time.sleep(0.1)
    if most < len(probes):
        yield f"slots leaked: {most} of {len(probes)} run at once"
