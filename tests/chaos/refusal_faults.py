"""Redis that answers "not now": one row for each refusal of tests/support/refusals.py, on every pool."""

import time
from functools import partial

from tests.chaos.environment import Environment
from tests.chaos.fault import EVERY_POOL, Fault
from tests.support.refusals import REFUSALS, SERVER_OPTIONS, create_user, worker_url

REFUSED_SECONDS = 6.0  # shorter than a lease, so that every attempt survives; longer than Redis' and kombu's timeouts
WAITING_JOBS = 10
RECOVERY_SECONDS = 15.0  # until a job begins again: the longest wait of a worker, and its start


def refuse(word: str, environment: Environment) -> None:
    """One job runs while Redis refuses; ten more wait when it serves again. The same worker completes them all."""
    environment.redis.end()
    environment.redis.options = SERVER_OPTIONS
    environment.redis.start()
    with environment.redis.client() as admin:
        create_user(admin)
        environment.fleet.env["REDIS_URL"] = worker_url(environment.redis.url)
        [worker] = environment.fleet.start(1, 4)
        environment.client.submit(12)
        environment.wait_until_busy(1)
        with REFUSALS[word](admin):
            time.sleep(REFUSED_SECONDS)
        environment.client.submit_many(WAITING_JOBS, 1)
        environment.time_recovery()
    environment.wait(lambda: not environment.unfinished(), 60, "all jobs end")
    if not worker.is_running:
        environment.failures.append(f"the worker ended with {worker.process.returncode}")
    if "Traceback" in worker.process.output:
        environment.failures.append("a traceback in the worker's log")
    charged = [record for _, record in environment.records() if record and record.attempts != 1]
    if charged:
        environment.failures.append(f"{len(charged)} jobs were attempted again")
    environment.expect_recovery_times(at_most=RECOVERY_SECONDS)


FAULTS = tuple(
    Fault(
        f"refusal_{word.lower()}", f"Redis answers {word} for {REFUSED_SECONDS:g} s", partial(refuse, word), EVERY_POOL
    )
    for word in REFUSALS
)
