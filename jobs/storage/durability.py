"""When a write counts as safe: in the memory of one Redis process, on its disk, or on replicas.

    process       as soon as Redis answers. A failover or a crash of the host may lose the write
    disk          once Redis has synced its append-only file (WAITAOF). A failover may lose it
    replicas=N    once N replicas have it (WAIT). Only the loss of all of them can lose it
    auto          replicas=1 where Redis has a replica, otherwise process

A store sends the barrier in the same round trip as the writes. WAIT waits for what its own connection wrote, and
returns immediately on a connection that wrote nothing. A repeated command often writes nothing, because its first
sending took effect on another connection. Therefore the barrier begins with a write of its own.

``auto`` asks the server at start, after each lost connection and now and then. A server without a replica is ambiguous:
it may be alone, or cut off from its replica, which is about to be promoted. Behind Sentinels it counts as alone only
when a Sentinel with a quorum says that this very server is the primary and that no replica is up. Without Sentinels it
counts as alone when no replica has been seen for a while.

Logs:
    durability_changed  replicas: how many must have a write from now on
    durability_unknown  replicas: the user may not run INFO, so this many must have a write, whatever the server has
"""

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from redis.exceptions import RedisError

from jobs.redis_urls import read
from jobs.repeated_problem import RepeatedProblem
from jobs.settings import Settings
from jobs.storage import keys
from jobs.storage.commands import Command, plain_command
from jobs.storage.redis_client import sentinels
from jobs.storage.reply_errors import NotSafe, first_word, short_reply
from jobs.storage.scripts import Argument

logger = logging.getLogger(__name__)

_REPLICA_WAIT_MS: Final = 300  # a replica that is up acknowledges within a few ms; a caller gets its 503 soon
_DISK_WAIT_MS: Final = 1_500  # appendfsync everysec syncs once a second
_ERR: Final = "ERR"
NO_DISK: Final = (
    "CHATQUEUE_DURABILITY=disk, but Redis cannot sync its disk: set appendonly yes, and use Redis 7.2 or newer, or "
    "Valkey; or choose another CHATQUEUE_DURABILITY"
)
_FRESH_PING_MS: Final = 2_500  # Sentinels ping each other every second
_PART_OF_TIMEOUT: Final = 0.75  # of a call to Redis: the reply must arrive before the call counts as unanswered
_LOOK_AGAIN_SECONDS: Final = 10.0  # a replica that was added is used this soon
_LONE_LOOK_AGAIN_SECONDS: Final = 1.0  # a lone primary may get its replica back any moment
_ASK_AGAIN_SECONDS: Final = 60.0  # after the right to ask was missing
_REPLICA_GRACE_SECONDS: Final = 30.0  # without Sentinels: how long a primary without its replica may be a former one


@dataclass(frozen=True)
class Durability:
    """Where a write must be. Neither: in the memory of the Redis process that answered."""

    disk: bool = False
    replicas: int = 0
    wait_ms: int = 0
    setting: str = "auto"  # what asks for it

    @property
    def barrier(self) -> tuple[tuple[Argument, ...], ...]:
        """The commands after the writes of a round trip; the last one's reply shows how far the writes have come."""
        if self.disk:
            return ("SET", keys.BARRIER, ""), ("WAITAOF", 1, 0, self.wait_ms)
        if self.replicas:
            return ("SET", keys.BARRIER, ""), ("WAIT", self.replicas, self.wait_ms)
        return ()

    def check(self, reply: Any) -> None:
        """Raises NotSafe for a reply to the barrier's last command that is an error or counts too few."""
        if isinstance(reply, RedisError):
            raise NotSafe(self._problem(short_reply(reply)))
        if self.disk and reply[0] < 1:
            raise NotSafe("Redis has not written to its disk in time")
        if self.replicas and reply < self.replicas:
            by_setting = "" if self.setting == "auto" else f", and CHATQUEUE_DURABILITY={self.setting} asks for them"
            raise NotSafe(f"only {reply} of {self.replicas} replicas of Redis have the write{by_setting}")

    def _problem(self, word: str) -> str:
        """Why the barrier's last command was refused. The rest of its reply may name a user."""
        if word != _ERR:
            return f"Redis does not make the write safe ({word})"
        if self.disk:
            return NO_DISK
        return "Redis has become a replica, or cannot wait for its replicas"


@dataclass(frozen=True)
class Primary:
    """The server at the other end of a connection, as it describes itself."""

    run_id: str
    replicas: int


def primary() -> Command[Primary]:
    def read(info: dict[str, Any]) -> Primary:
        return Primary(str(info["run_id"]), int(info.get("connected_slaves", 0)))

    return plain_command("INFO", "server", "replication", read=read)


class WriteSafety:
    """The durability that a store asks for now. One for each store; ``observe`` may be called from any thread."""

    def __init__(self, setting: str = "process", timeout_seconds: float = math.inf) -> None:
        """``timeout_seconds``: of one call to Redis; a barrier waits for less."""
        self._is_auto = setting == "auto"
        self._timeout_ms = timeout_seconds * 1000
        self._sentinels: Sequence[Any] | None = None  # clients of the Sentinels
        self._master = ""
        self._replica_seen_at = -math.inf
        self._look_again_at = -math.inf
        self._durability = self._durability_for(setting)
        self._problem = RepeatedProblem()

    @classmethod
    def of(cls, settings: Settings) -> Self:
        safety = cls(settings.durability, settings.redis_timeout_seconds)
        url = read(settings.record_url.get_secret_value())
        if url.master is not None:
            safety._sentinels, safety._master = sentinels(settings, url).sentinels, url.master
        return safety

    @property
    def must_look(self) -> bool:
        """Whether to ask the server with ``primary`` before the next write."""
        return self._is_auto and time.monotonic() >= self._look_again_at

    @property
    def durability(self) -> Durability:
        return self._durability

    def forget(self) -> None:
        """A connection was lost or a write was not safe: another server may answer from now on."""
        self._look_again_at = -math.inf

    def observe(self, seen: Primary) -> None:
        """Choose the durability for the server that answered. Asks the Sentinels when it has no replica."""
        now = time.monotonic()
        self._problem.end()
        if seen.replicas:
            self._replica_seen_at = now
        is_alone = not seen.replicas and self._is_alone(seen, now)
        wanted = self._durability_for("process" if is_alone else "replicas=1")
        if wanted != self._durability:
            logger.info("durability_changed replicas=%d", wanted.replicas)
        self._durability = wanted
        self._look_again_at = now + (_LONE_LOOK_AGAIN_SECONDS if is_alone and self._sentinels else _LOOK_AGAIN_SECONDS)

    def observe_error(self, error: RedisError) -> None:
        """Go on without an answer if the user may not run INFO. Raises any other error.

        A server that may have replicas is still asked to make writes safe.
        """
        if first_word(error) != "NOPERM":
            raise error
        may_have_replicas = self._sentinels is not None or self._replica_seen_at > -math.inf
        self._durability = self._durability_for("replicas=1" if may_have_replicas else "process")
        if self._problem.is_new(f"NOPERM {self._durability.replicas}"):
            logger.warning("durability_unknown reply=NOPERM replicas=%d", self._durability.replicas)
        self._look_again_at = time.monotonic() + _ASK_AGAIN_SECONDS

    def _is_alone(self, seen: Primary, now: float) -> bool:
        if self._sentinels is None:
            return now - self._replica_seen_at > _REPLICA_GRACE_SECONDS
        return any(_says_alone(sentinel, self._master, seen.run_id) for sentinel in self._sentinels)

    def _durability_for(self, setting: str) -> Durability:
        """The durability of a setting; for ``auto`` until the server has been asked."""
        if setting == "disk":
            return Durability(disk=True, wait_ms=self._wait_ms(_DISK_WAIT_MS), setting=setting)
        if setting.startswith("replicas="):
            replicas = int(setting.removeprefix("replicas="))
            return Durability(
                replicas=replicas, wait_ms=self._wait_ms(_REPLICA_WAIT_MS), setting="auto" if self._is_auto else setting
            )
        return Durability()

    def _wait_ms(self, longest: float) -> int:
        return round(min(longest, self._timeout_ms * _PART_OF_TIMEOUT))


def _says_alone(sentinel: Any, master: str, run_id: str) -> bool:
    """Whether this Sentinel reaches a majority, takes the server for the primary, and knows no replica that is up.

    A lost connection says nothing: a Sentinel that is cut off together with the primary loses all others. It calls them
    down only later, and counts them for its quorum until then.
    """
    try:
        state, replicas = sentinel.sentinel_master(master), sentinel.sentinel_slaves(master)
        peers = sentinel.sentinel_sentinels(master)
        sentinel.sentinel_ckquorum(master)  # raises without a quorum
    except RedisError:
        return False
    is_primary = state["runid"] == run_id and not {"s_down", "o_down", "failover_in_progress"} & _flags(state)
    has_replica = any(not {"s_down", "o_down"} & _flags(replica) for replica in replicas)
    reached = sum(_is_reached(peer) for peer in peers)
    return is_primary and not has_replica and 2 * (reached + 1) > len(peers) + 1


def _is_reached(peer: dict[str, Any]) -> bool:
    down = {"s_down", "disconnected"} & _flags(peer)
    return not down and int(peer["last-ok-ping-reply"]) < _FRESH_PING_MS


def _flags(state: dict[str, Any]) -> set[str]:
    flags = state["flags"]  # a set by RESP3, a text by RESP2
    return flags if isinstance(flags, set) else set(str(flags).split(","))
