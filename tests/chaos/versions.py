"""A deploy: web processes and workers of two versions on one Redis."""

import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from jobs import queue_stats
from tests.chaos.environment import Environment
from tests.chaos.fault import Fault, FaultSkipped
from tests.chaos.jobs_sent import AcceptedJob, make_job_spec
from tests.chaos.verdict import waiting_entries
from tests.chaos.web import NO_FIELDS, Web
from tests.chaos.worker_fleet import Worker
from tests.support.code_versions import NEW_FIELD, VersionUnavailable, make_newer, unpack_previous
from tests.support.processes import PROJECT_ROOT

JOBS = 1_000
_SLOTS = 20
_JOB_SECONDS = 0.5
_END_SECONDS = 240.0  # a worker of the other version may win the message of a job several times


def deploy_over_previous(environment: Environment) -> None:
    """Each version's jobs are answered by the other's workers alone, and by both side by side."""
    previous = _unpack(environment, unpack_previous)
    old_web, new_web = _web(environment, previous), _web(environment, PROJECT_ROOT)
    part = environment.plan.count(JOBS) // 4
    new = _start_workers(environment, PROJECT_ROOT)
    _submit(environment, [old_web], part)  # as in a deploy: workers first
    _wait_for_all(environment, "the new workers answer the jobs of the old web")
    old = _start_workers(environment, previous)
    environment.wait(lambda: _taking_jobs(environment) == 2, 10, "the old worker is seen to take jobs")
    _submit(environment, [old_web, new_web], part * 2)
    _wait_for_all(environment, "workers of both versions answer the jobs of both webs")
    environment.fleet.kill(new)
    _submit(environment, [new_web], part)
    _wait_for_all(environment, "the old workers answer the jobs of the new web")
    environment.fleet.kill(old)
    _start_workers(environment, PROJECT_ROOT)
    environment.wait(
        lambda: _counts_add_up(environment), 20, "the calls that the old workers did not count are corrected"
    )


def newer_web_first(environment: Environment) -> None:
    """The wrong order: a newer web submits requests with a new field while only this version's workers run."""
    newer = _unpack(environment, make_newer)
    web = _web(environment, newer)
    old = _start_workers(environment, PROJECT_ROOT)
    part = environment.plan.count(JOBS) // 2
    with_field = _submit(environment, [web], part, {NEW_FIELD: "kind"})
    _submit(environment, [web], part)
    environment.wait(lambda: _ended(environment) >= part, _END_SECONDS, "the jobs without the field end")
    _expect_put_back(environment, with_field, old)
    _start_workers(environment, newer)
    _wait_for_all(environment, "the newer workers answer the jobs with the field")


def _taking_jobs(environment: Environment) -> int:
    """The workers that take jobs, in the stats of this version."""
    workers = queue_stats.stats(environment.client.store, environment.client.settings).workers
    return sum(bool(worker.takes_jobs) for worker in workers)


def _counts_add_up(environment: Environment) -> bool:
    with environment.redis.client() as redis:
        return not list(waiting_entries(redis))


def _unpack(environment: Environment, make: Callable[[Path], Path]) -> Path:
    folder = tempfile.TemporaryDirectory(prefix="chaos-version-")
    environment.on_close(folder.cleanup)
    try:
        return make(Path(folder.name))
    except VersionUnavailable as error:
        raise FaultSkipped(str(error)) from None


def _web(environment: Environment, folder: Path) -> Web:
    web = Web(environment, folder=folder)
    web.start()
    return web


def _start_workers(environment: Environment, folder: Path) -> Worker:
    environment.fleet.folder = folder
    [worker] = environment.fleet.start(1, _SLOTS)
    return worker


def _submit(
    environment: Environment, webs: list[Web], count: int, fields: Mapping[str, str] = NO_FIELDS
) -> list[AcceptedJob]:
    with ThreadPoolExecutor(8) as pool:
        jobs = [
            pool.submit(webs[i % len(webs)].submit, make_job_spec(_JOB_SECONDS), fields=fields) for i in range(count)
        ]
        return [job.result() for job in jobs]


def _ended(environment: Environment) -> int:
    return sum(record is not None and record.is_final for _, record in environment.records())


def _wait_for_all(environment: Environment, what: str) -> None:
    environment.wait(lambda: not environment.unfinished(), _END_SECONDS, what)


def _expect_put_back(environment: Environment, jobs: list[AcceptedJob], worker: Worker) -> None:
    """Uncounted, still queued, and one warning in the log of the worker, however often it has tried."""
    wanted = {job.job_id for job in jobs}
    records = [record for sent, record in environment.records() if record and sent.job_id in wanted]
    if not all(record.error_code == "no_capable_worker" and record.attempts == 0 for record in records):
        environment.failures.append("a job with the new field was not put back uncounted")
    if (warnings := worker.process.output.count("job_put_back")) != 1:
        environment.failures.append(f"{warnings} warnings for one reason")


FAULTS = (
    Fault("previous_version", "web and workers of the previous version beside this one's", deploy_over_previous),
    Fault("newer_version", "a newer web, and workers that do not know its new field", newer_web_first),
)
