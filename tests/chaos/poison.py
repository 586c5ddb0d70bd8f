"""Jobs that kill or crash what runs them, among innocent ones."""

from tests.chaos.environment import Environment
from tests.chaos.fault import EVERY_POOL, Fault

_KILLS = frozenset({"worker_lost"})
_CRASHES = frozenset({"attempt_crashed"})
GUILTY = (("exit", _KILLS), ("exit", _KILLS), ("memory", _CRASHES), ("systemexit", _CRASHES))


def poison(environment: Environment) -> None:
    """Four guilty among sixty innocent; a supervisor restarts what dies."""
    environment.poison()
    slots = 4 if environment.plan.pool == "prefork" else 8
    environment.fleet.start(3, slots)
    environment.fleet.keep_running()
    innocent = environment.plan.count(60, 20)
    guilty = {round(i * innocent / len(GUILTY)): crime for i, crime in enumerate(GUILTY)}
    for number in range(innocent):
        if number in guilty:
            word, codes = guilty[number]
            environment.client.submit(1, f"[[poison {word}]] ", codes)
        environment.client.submit(3)
    environment.wait(lambda: not environment.unfinished(), 60 + 8 * environment.plan.lease_seconds, "all end")
    environment.notes.append(f"{len(environment.fleet.ended)} workers died")
    environment.back += [found.seconds for found in environment.resumptions()]


FAULTS = (Fault("poison", "poison jobs among 60 innocent ones", poison, EVERY_POOL, 60),)
