"""Makes a Redis server answer "not now" for a while, by the first word of the reply, and then serve again.

The clients that are refused use the ACL user WORKER. An administrator's connection stays able to end the refusal.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Final, TypeAlias

import psutil
import redis

from tests.support.waiting import until

WORKER: Final = "worker"
PASSWORD: Final = "first-password"
PAUSE_MS: Final = 6_000  # longer than the timeouts of a worker's connections
KEYS_TO_LOAD: Final = 300  # at KEY_DELAY_US each, a reload takes 3 s
KEY_DELAY_US: Final = 10_000
SERVER_OPTIONS: Final = ("--enable-debug-command", "yes", "--busy-reply-threshold", "100")

Refusal: TypeAlias = Callable[[redis.Redis], AbstractContextManager[None]]


def create_user(admin: redis.Redis) -> None:
    admin.execute_command("ACL", "SETUSER", WORKER, "on", f">{PASSWORD}", "~*", "&*", "+@all")


def worker_url(url: str) -> str:
    """The URL of this server for the user WORKER."""
    return url.replace("redis://", f"redis://{WORKER}:{PASSWORD}@")


@contextmanager
def too_few_replicas(admin: redis.Redis) -> Iterator[None]:
    admin.config_set("min-replicas-to-write", 1)
    try:
        yield
    finally:
        admin.config_set("min-replicas-to-write", 0)


@contextmanager
def demoted(admin: redis.Redis) -> Iterator[None]:
    """What a failover does to the old primary. Waiting commands end with UNBLOCKED, later ones with READONLY."""
    admin.execute_command("REPLICAOF", "127.0.0.1", "1")
    try:
        yield
    finally:
        admin.execute_command("REPLICAOF", "NO", "ONE")


@contextmanager
def out_of_memory(admin: redis.Redis) -> Iterator[None]:
    admin.config_set("maxmemory", 1)
    try:
        yield
    finally:
        admin.config_set("maxmemory", 0)


@contextmanager
def failed_snapshot(admin: redis.Redis) -> Iterator[None]:
    """A snapshot that fails, as on a full disk: its process is killed."""
    admin.config_set("save", "3600 1")
    admin.config_set("rdb-key-save-delay", 10_000_000)
    admin.set("refusals:snapshot", 1)
    server = psutil.Process(admin.info("server")["process_id"])
    admin.bgsave()
    for child in until(server.children):
        os.kill(child.pid, signal.SIGKILL)
    until(lambda: admin.info("persistence")["rdb_last_bgsave_status"] == "err")
    try:
        yield
    finally:
        admin.config_set("rdb-key-save-delay", 0)
        admin.config_set("save", "")


@contextmanager
def busy(admin: redis.Redis) -> Iterator[None]:
    """A script that does not end."""

    def run_script() -> None:
        with suppress(redis.RedisError), redis.Redis(connection_pool=admin.connection_pool) as client:
            client.eval("while true do end", 0)

    thread = threading.Thread(target=run_script)
    thread.start()
    try:
        yield
    finally:
        admin.script_kill()
        thread.join()


@contextmanager
def loading(admin: redis.Redis) -> Iterator[None]:
    """Loads its data again, as after a restart."""
    for name, value in (("key-load-delay", KEY_DELAY_US), ("loading-process-events-interval-bytes", 1024)):
        admin.config_set(name, value)
    for number in range(KEYS_TO_LOAD):
        admin.set(f"refusals:{number}", "x" * 200, ex=60)
    thread = threading.Thread(target=admin.execute_command, args=("DEBUG", "RELOAD"))
    thread.start()
    try:
        yield
    finally:
        thread.join()
        admin.config_set("key-load-delay", 0)


@contextmanager
def missing_right(admin: redis.Redis) -> Iterator[None]:
    admin.execute_command("ACL", "SETUSER", WORKER, "-@write", "-@scripting")
    try:
        yield
    finally:
        admin.execute_command("ACL", "SETUSER", WORKER, "+@all")


@contextmanager
def changed_password(admin: redis.Redis) -> Iterator[None]:
    admin.execute_command("ACL", "SETUSER", WORKER, "resetpass", ">another-password")
    for kind in ("normal", "pubsub"):
        admin.execute_command("CLIENT", "KILL", "TYPE", kind, "USER", WORKER)
    try:
        yield
    finally:
        admin.execute_command("ACL", "SETUSER", WORKER, "resetpass", f">{PASSWORD}")


@contextmanager
def paused(admin: redis.Redis) -> Iterator[None]:
    """Answers nothing."""
    admin.execute_command("CLIENT", "PAUSE", PAUSE_MS, "ALL")
    yield


REFUSALS: Final[Mapping[str, Refusal]] = {
    "NOREPLICAS": too_few_replicas,
    "READONLY": demoted,
    "UNBLOCKED": demoted,
    "OOM": out_of_memory,
    "MISCONF": failed_snapshot,
    "BUSY": busy,
    "LOADING": loading,
    "NOPERM": missing_right,
    "WRONGPASS": changed_password,
    "PAUSE": paused,
}
