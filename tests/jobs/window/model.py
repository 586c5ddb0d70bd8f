"""What must hold of jobs, lines, messages and targets, whatever happened: read from Redis after each step."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, TypeAlias

import redis

from jobs.storage import keys
from jobs.storage.keys import DEFAULT_QUEUE

Line: TypeAlias = tuple[str, str, str, str]  # lane, tenant, fair key, pool
_TARGETS = ("main/m", "main/n", "other/n", "free/f", "main")
_COUNTERS = ("running", "reserved", "reserved_tokens")


@dataclass(frozen=True)
class Snapshot:
    """Everything of one moment that the invariants need."""

    records: dict[str, dict[str, str]]
    lines: dict[Line, list[str]]
    waiting: set[str]
    published: set[str]
    turns: dict[str, set[str]]  # key of a turn: its members
    open_pools: dict[str, set[str]]  # lane: pools that may be looked at
    queued: dict[str, dict[str, int]]
    closed: set[str]
    clocks: dict[str, float]
    targets: dict[str, Counter[str]]
    calls: Counter[str]
    busy: int
    slots: int | None

    def backlogged(self, lane: str) -> set[str]:
        """Tenants with waiting jobs in pools that are open."""
        return {
            tenant for own_lane, tenant, _, pool in self.lines if own_lane == lane and pool in self.open_pools[lane]
        }


def read_snapshot(client: redis.Redis, now_ms: float, job_ids: list[str]) -> Snapshot:
    found = [key.decode() for key in client.keys("cq:*")]
    with client.pipeline(transaction=False) as pipe:
        for job_id in job_ids:
            pipe.hgetall(keys.job(job_id))
        hashes = pipe.execute()
    records = {i: {k.decode(): v.decode() for k, v in h.items()} for i, h in zip(job_ids, hashes, strict=True)}

    def members(key: str) -> list[str]:
        return [member.decode() for member in client.zrange(key, 0, -1)]

    def fields(key: str) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in client.hgetall(key).items()}

    lines = {}
    for key in (key for key in found if key.startswith("cq:line:")):
        lane, tenant, fair_key, pool = key.removeprefix("cq:line:").split(":")
        lines[lane, tenant, fair_key, pool] = members(key)
    turns = {key: set(members(key)) for key in found if key.startswith(("cq:fair-keys:", "cq:tenants:", "cq:pools:"))}
    lanes = ("interactive", "batch")
    window = fields(keys.window(DEFAULT_QUEUE))
    has_slots = float(window.get("slots_until_ms", 0)) > now_ms
    calls: Counter[str] = Counter()
    for call, number in fields("cq:calls").items():
        calls[call.rsplit(" ", 1)[0]] += int(number)
    return Snapshot(
        records=records,
        lines=lines,
        waiting=set(members(keys.WAITING)),
        published={*members(keys.messages(DEFAULT_QUEUE)), *members(keys.messages_high(DEFAULT_QUEUE))},
        turns=turns,
        open_pools={
            lane: {pool.decode() for pool in client.zrangebyscore(f"cq:pools:{lane}", "-inf", now_ms)} for lane in lanes
        },
        queued={lane: {pool: int(n) for pool, n in fields(f"cq:queued:{lane}").items()} for lane in lanes},
        closed=set(fields("cq:closed")),
        clocks={key: client.zscore(key, "") or 0.0 for key in found if key.startswith("cq:clock")},
        targets={t: Counter({c: int(fields(keys.target(t)).get(c, 0)) for c in _COUNTERS}) for t in _TARGETS},
        calls=calls,
        busy=client.zcard(keys.LEASES),
        slots=int(window["slots"]) if has_slots else None,
    )


@dataclass
class Model:
    """The invariants. ``states`` is what each job's state must be; the test changes it as it moves the jobs."""

    weights: dict[str, float]
    limited_providers: set[str] = field(default_factory=set)
    states: dict[str, str] = field(default_factory=dict)
    before: Snapshot | None = None
    leads: dict[tuple[str, str, str], tuple[float, float, float]] = field(default_factory=dict)

    def check(self, now: Snapshot) -> None:
        self._states(now)
        self._places(now)
        self._turns(now)
        self._targets(now)
        if self.before is not None:
            self._window(now, self.before)
            self._clocks(now, self.before)
            self._fairness(now, self.before)
        self.before = now

    def _states(self, now: Snapshot) -> None:
        assert {job_id: record["state"] for job_id, record in now.records.items()} == self.states

    def _places(self, now: Snapshot) -> None:
        """I1: a queued job is in exactly one of its line, waiting and published; any other job is in none."""
        places = Counter([job_id for line in now.lines.values() for job_id in line])
        places.update(now.waiting)
        places.update(now.published)
        assert places == Counter(job_id for job_id, state in self.states.items() if state == "queued")

    def _turns(self, now: Snapshot) -> None:
        """I2: who is in a turn has waiting jobs there, and the other way round. The numbers of jobs add up."""
        turns, queued = defaultdict(set), {"interactive": Counter(), "batch": Counter()}
        for (lane, tenant, fair_key, pool), line in now.lines.items():
            turns[f"cq:fair-keys:{lane}:{tenant}:{pool}"].add(fair_key)
            turns[f"cq:tenants:{lane}:{pool}"].add(tenant)
            turns[f"cq:pools:{lane}"].add(pool)
            queued[lane][pool] += len(line)
        assert now.turns == turns
        assert now.queued == queued
        assert now.closed <= {pool for lane in queued.values() for pool in lane}

    def _targets(self, now: Snapshot) -> None:
        """I4: the counts of calls of each target and of each provider with limits."""
        right: dict[str, Counter[str]] = {target: Counter() for target in _TARGETS}
        counted = [(record, "running", 0) for record in now.records.values() if record["state"] == "in_progress"]
        counted += [(now.records[i], "reserved", int(now.records[i].get("tokens", 0))) for i in now.published]
        for record, counter, tokens in counted:
            for part in self._parts(record.get("target")):
                right[part][counter] += 1
                right[part]["reserved_tokens"] += tokens
        for target, number in now.calls.items():
            for part in self._parts(target):
                right[part]["running"] += number
        assert {t: +counts for t, counts in now.targets.items()} == {t: +counts for t, counts in right.items()}

    def _parts(self, target: str | None) -> list[str]:
        provider = (target or "").partition("/")[0]
        return [part for part in (target, provider) if part and ("/" in part or part in self.limited_providers)]

    def _window(self, now: Snapshot, before: Snapshot) -> None:
        """I5: no more is published than there are free slots and `ahead`, except when slots were taken away."""
        ahead = 16 if now.slots is None else min(16, max(1, now.slots // 10))
        room = max((now.slots or 0) - now.busy, 0) + ahead
        assert len(now.published) <= max(room, len(before.published))

    def _clocks(self, now: Snapshot, before: Snapshot) -> None:
        """I6: no clock falls."""
        for clock, time in before.clocks.items():
            assert now.clocks.get(clock, 0) >= time

    def _fairness(self, now: Snapshot, before: Snapshot) -> None:
        """I7: between two tenants that wait all the time, the starts by weight differ by one start each at most."""
        served: Counter[Any] = Counter()
        for job_id in now.published - before.published:
            record = now.records[job_id]
            served[record.get("lane", "interactive"), record["tenant"]] += 1
        for lane in ("interactive", "batch"):
            both = before.backlogged(lane) & now.backlogged(lane)
            for pair in combinations(sorted(self.weights), 2):
                if not both.issuperset(pair):
                    self.leads.pop((lane, *pair), None)
                    continue
                lead, least, most = self.leads.get((lane, *pair), (0.0, 0.0, 0.0))
                lead += served[lane, pair[0]] / self.weights[pair[0]] - served[lane, pair[1]] / self.weights[pair[1]]
                least, most = min(least, lead), max(most, lead)
                self.leads[lane, *pair] = (lead, least, most)
                assert most - least <= 1 / self.weights[pair[0]] + 1 / self.weights[pair[1]] + 1e-6
