"""Poison jobs, which kill their worker or crash their attempt, among healthy ones."""

from tests.chaos.environment import Environment
from tests.chaos.fault import EVERY_POOL, Fault

_WORKER_LOST = frozenset({"worker_lost"})
_ATTEMPT_CRASHED = frozenset({"attempt_crashed"})
POISON_JOBS = (
    ("exit", _WORKER_LOST),
    ("exit", _WORKER_LOST),
    ("memory", _ATTEMPT_CRASHED),
    ("systemexit", _ATTEMPT_CRASHED),
)


def poison(environment: Environment) -> None:
    """Four poison jobs among sixty healthy ones. A supervisor restarts workers that die."""
    environment.poison()
    slots = 4 if environment.plan.pool == "prefork" else 8
    environment.fleet.start(3, slots)
    environment.fleet.restart_ended()
    healthy = environment.plan.count(60, 20)
    poison_jobs = {round(i * healthy / len(POISON_JOBS)): poison_job for i, poison_job in enumerate(POISON_JOBS)}
    for number in range(healthy):
        if number in poison_jobs:
            word, codes = poison_jobs[number]
            environment.client.submit(1, f"[[poison {word}]] ", codes)
        environment.client.submit(3)
    environment.wait(lambda: not environment.unfinished(), 60 + 8 * environment.plan.lease_seconds, "all jobs end")
    environment.notes.append(f"{len(environment.fleet.ended)} workers died")
    environment.recovery_seconds += [resumption.seconds for resumption in environment.resumptions()]


FAULTS = (Fault("poison", "4 poison jobs among 60 healthy ones", poison, EVERY_POOL, 60),)
