"""Jobs that kill or crash what runs them, among innocent ones."""

from tests.chaos.environment import Stage
from tests.chaos.fault import EVERY_POOL, Fault

_KILLS = frozenset({"kills_its_worker"})
_CRASHES = frozenset({"attempt_crashed"})
GUILTY = (("exit", _KILLS), ("exit", _KILLS), ("memory", _CRASHES), ("systemexit", _CRASHES))


def poison(stage: Stage) -> None:
    """Four guilty among sixty innocent; a supervisor restarts what dies."""
    stage.poison()
    slots = 4 if stage.plan.pool == "prefork" else 8
    stage.fleet.start(3, slots)
    stage.fleet.keep_running()
    innocent = stage.plan.count(60, 20)
    guilty = {round(i * innocent / len(GUILTY)): crime for i, crime in enumerate(GUILTY)}
    for number in range(innocent):
        if number in guilty:
            word, codes = guilty[number]
            stage.client.submit(1, f"[[poison {word}]] ", codes)
        stage.client.submit(3)
    stage.wait(lambda: not stage.unfinished(), 60 + 8 * stage.plan.lease_seconds, "all end")
    stage.notes.append(f"{len(stage.fleet.ended)} workers died")
    stage.back += [found.seconds for found in stage.comebacks()]


FAULTS = (Fault("poison", "poison jobs among 60 innocent ones", poison, EVERY_POOL, 60),)
