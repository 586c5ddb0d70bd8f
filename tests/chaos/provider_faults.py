"""A provider that has a bad minute: it refuses calls above a limit, or is away. And workers that die meanwhile."""

import itertools
import json
import signal
import time
import urllib.request
from dataclasses import dataclass

from jobs.models import Lane
from jobs.storage import keys
from tests.chaos.environment import Environment
from tests.chaos.fault import Fault

LIMIT = 60  # calls in any minute
MAX_REFUSALS = 5  # before the limit is known
MAX_PROBES = 25  # of a provider that is away
NOTICE_SECONDS = 5.0  # the calls of this time show that it is away
PACE_MARGIN = 1.05
_COUNTS = ("running", "reserved", "reserved_tokens")


@dataclass(frozen=True)
class ProviderLog:
    """When the provider admitted and refused calls, in Unix seconds."""

    admitted: list[float]
    refused: list[float]

    def most_in_a_minute(self) -> int:
        starts = sorted(self.admitted)
        return max((sum(start <= at < start + 60 for at in starts) for start in starts), default=0)


def set_minute(environment: Environment, limit: int | None = None, *, is_away: bool = False) -> None:
    """From now on the provider admits ``limit`` calls in any 60 s, or none."""
    request = urllib.request.Request(
        _url(environment),
        json.dumps({"limit": limit, "is_away": is_away}).encode(),
        {"Content-Type": "application/json"},
    )
    urllib.request.urlopen(request, timeout=10).close()


def read_log(environment: Environment) -> ProviderLog:
    with urllib.request.urlopen(_url(environment), timeout=10) as reply:
        return ProviderLog(**json.load(reply))


def _url(environment: Environment) -> str:
    return environment.model_url.removesuffix("/v1") + "/chaos/minute"


def refuse_above_a_limit(environment: Environment) -> None:
    """A backlog of several minutes at a provider that says nothing of its limit until it refuses."""
    jobs = environment.plan.count(300, 80)
    set_minute(environment, LIMIT)
    environment.fleet.start(4, 50)
    started = time.time()
    environment.client.submit_many(jobs, 1)
    longest = jobs * 60 / LIMIT * PACE_MARGIN
    environment.wait(lambda: not environment.unfinished(), longest + 5, f"{jobs} jobs end")
    log = read_log(environment)
    _expect(environment, len(log.refused) <= MAX_REFUSALS, f"{len(log.refused)} calls were refused")
    _expect(environment, log.most_in_a_minute() <= LIMIT, f"{log.most_in_a_minute()} calls in a minute")
    environment.notes.append(f"{len(log.refused)} refused, all done after {time.time() - started:.0f} s")
    _forget_limit(environment)


def go_away(environment: Environment) -> None:
    """A provider that closes every connection, with jobs running and a backlog."""
    running, queued = 50, environment.plan.count(500, 60)
    environment.fleet.start(2, running // 2)
    environment.client.submit_many(running, 20)
    environment.wait_until_busy(running)
    environment.client.submit_many(queued, 1)
    set_minute(environment, is_away=True)
    time.sleep(environment.plan.count(600, 20))
    refused = read_log(environment).refused
    probes = len([at for at in refused if at > refused[0] + NOTICE_SECONDS])
    set_minute(environment)
    returned = time.time()
    own_seconds = queued / running + 20
    environment.wait(lambda: not environment.unfinished(), 60 + own_seconds * 2, "all jobs end")
    _expect(environment, probes <= MAX_PROBES, f"{probes} calls to a provider that was away")
    environment.notes.append(
        f"{len(refused)} calls while it was away ({probes} probes), all done {time.time() - returned:.0f} s after"
    )


def kill_behind_two_tenants(environment: Environment) -> None:
    """Workers die while two tenants and two lanes wait: turns and counts survive."""
    environment.fleet.start(3, 5)
    for tenant, lane in itertools.product(("a", "b"), Lane):
        for _ in range(environment.plan.count(60, 12)):
            environment.client.submit(2, tenant=tenant, lane=lane)
    environment.wait_until_busy(5)
    for _ in range(environment.plan.count(8, 2)):
        environment.fleet.replace(environment.random.choice(environment.fleet.workers))
        time.sleep(environment.random.uniform(1, 3))


def restart_redis_while_closed(environment: Environment) -> None:
    """Redis dies while the limit is used up: what is known of the provider and who waits survive."""
    set_minute(environment, LIMIT)
    environment.fleet.start(2, 30)
    environment.client.submit_many(environment.plan.count(100, 70), 1)
    environment.wait(lambda: len(read_log(environment).refused) > 0, 60, "the limit is used up")
    for _ in range(2):
        environment.redis.end(signal.SIGKILL)
        time.sleep(1)
        environment.redis.start()
        time.sleep(5)
    environment.wait(lambda: not environment.unfinished(), 150, "all jobs end")
    _expect(environment, read_log(environment).most_in_a_minute() <= LIMIT, "more calls in a minute than admitted")
    _forget_limit(environment)


def kill_while_learning(environment: Environment) -> None:
    """Workers die again and again while the limit is being learned."""
    set_minute(environment, LIMIT)
    environment.fleet.start(3, 20)
    environment.client.submit_many(environment.plan.count(120, 70), 1)
    for _ in range(environment.plan.count(30, 4)):
        environment.fleet.replace(environment.random.choice(environment.fleet.workers))
        time.sleep(environment.random.uniform(0.5, 2))
    environment.wait(lambda: not environment.unfinished(), 240, "all jobs end")
    _forget_limit(environment)


def _forget_limit(environment: Environment) -> None:
    """Let every slot be used again, for the check that no slot is lost."""
    set_minute(environment)
    with environment.redis.client() as redis:
        for name in map(str, redis.smembers(keys.TARGETS)):
            counts = redis.hmget(keys.target(name), *_COUNTS)
            redis.delete(keys.target(name), f"{keys.NAMESPACE}requests:{name}")
            kept = {count: value for count, value in zip(_COUNTS, counts, strict=True) if value is not None}
            redis.hset(keys.target(name), mapping={"starts": 10_000, **kept})


def _expect(environment: Environment, is_met: bool, failure: str) -> None:
    if not is_met:
        environment.failures.append(failure)


FAULTS = (
    Fault("provider_limit", "a provider that refuses calls above 60 a minute", refuse_above_a_limit, end_seconds=60),
    Fault("provider_away", "a provider that is away for minutes", go_away, end_seconds=60),
    Fault("kill_two_tenants", "SIGKILL of workers behind two tenants' backlogs", kill_behind_two_tenants),
    Fault("redis_closed_governor", "Redis killed while a provider's limit is used up", restart_redis_while_closed),
    Fault("kill_learning", "SIGKILL of workers while a limit is learned", kill_while_learning),
)
