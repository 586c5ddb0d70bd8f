"""The parameters of a run of the suite: pool, seed, lease, and the scale of the load."""

from dataclasses import dataclass

POOLS = ("asyncio", "threads", "prefork")
HEARTBEATS_A_LEASE = 3.75  # as in the default settings: 15 s and 4 s


@dataclass(frozen=True)
class Plan:
    """``scale`` multiplies the numbers of jobs and faults, not their times."""

    pool: str = "asyncio"
    seed: int = 1
    lease_seconds: float = 15
    scale: float = 1.0

    @property
    def heartbeat_seconds(self) -> float:
        return self.lease_seconds / HEARTBEATS_A_LEASE

    def count(self, full: int, least: int = 1) -> int:
        """A full number scaled, but at least `least`."""
        return max(least, round(full * self.scale))
