"""The state of the Redis server: its version, configuration and memory, and whether it accepts writes."""

from typing import Any, Final

from jobs.base import FrozenModel
from jobs.storage import keys
from jobs.storage.commands import Command, plain_command
from jobs.storage.durability import NO_DISK

MIN_REDIS_VERSION: Final = (7, 0)  # BLMPOP: many messages in one round trip
_DISK_REDIS_VERSION: Final = (7, 2)  # WAITAOF
_PROBE_TTL_SECONDS: Final = 10


class ServerInfo(FrozenModel):
    """The fields of INFO that matter here. ``maxmemory_bytes`` is 0 when there is no limit."""

    run_id: str  # changes when the server restarts
    used_bytes: int
    maxmemory_bytes: int
    maxmemory_policy: str
    has_append_only_file: bool
    is_replica: bool = False
    is_cluster: bool = False
    redis_version: tuple[int, ...] = MIN_REDIS_VERSION  # Valkey reports the Redis with which it is compatible
    replicas: int = 0

    def hazards(self, durability: str) -> tuple[str, ...]:
        """Each server setting that can lose accepted jobs or stop them from running, with the setting to use.

        ``durability``: the setting of this program.
        """
        found = []
        if self.redis_version < MIN_REDIS_VERSION:
            found.append(
                "Redis is older than 7.0 and workers cannot take messages from it: use 7.0 or newer, or Valkey"
            )
        if self.is_replica:
            found.append("Redis is a replica and accepts no writes: use the address of its primary")
        if self.is_cluster:
            found.append("Redis runs in cluster mode, which is not supported: use a server without it")
        if self.maxmemory_policy != "noeviction":
            found.append(
                f"Redis evicts keys when it is full (maxmemory-policy {self.maxmemory_policy}), which loses jobs: "
                "set maxmemory-policy noeviction"
            )
        if durability == "disk" and (not self.has_append_only_file or self.redis_version < _DISK_REDIS_VERSION):
            found.append(NO_DISK)
        elif durability.startswith("replicas=") and self.replicas < int(durability.removeprefix("replicas=")):
            found.append(
                f"CHATQUEUE_DURABILITY={durability}, but Redis has {self.replicas}: no job is accepted until then"
            )
        if not self.has_append_only_file and durability != "disk":
            found.append("Redis keeps no append-only file and loses jobs when it restarts: set appendonly yes")
        return tuple(found)

    def is_fuller_than(self, percent: float) -> bool:
        return self.maxmemory_bytes > 0 and self.used_bytes * 100 > self.maxmemory_bytes * percent


def server_info() -> Command[ServerInfo]:
    def read(info: dict[str, Any]) -> ServerInfo:
        return ServerInfo(
            run_id=str(info["run_id"]),
            used_bytes=int(info["used_memory"]),
            maxmemory_bytes=int(info.get("maxmemory", 0)),
            maxmemory_policy=str(info.get("maxmemory_policy", "noeviction")),
            has_append_only_file=bool(int(info.get("aof_enabled", 0))),
            is_replica=info.get("role") == "slave",
            is_cluster=info.get("redis_mode") == "cluster",
            redis_version=tuple(int(part) for part in str(info["redis_version"]).split(".") if part.isdecimal()),
            replicas=int(info.get("connected_slaves", 0)),
        )

    return plain_command("INFO", read=read)


def confirm_earlier_writes() -> Command[bool]:
    """For an answer that rests on what an earlier call wrote: that write may not have been safe when it was read."""
    return plain_command("SET", keys.BARRIER, "", read=bool, must_be_safe=True)


def write_probe() -> Command[bool]:
    """A write of a key that expires. It succeeds if Redis accepts writes and makes them as safe as they must be."""
    return plain_command("SET", keys.PROBE, 1, "EX", _PROBE_TTL_SECONDS, read=bool, must_be_safe=True)
