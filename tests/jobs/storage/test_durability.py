"""A write counts once it is as safe as the settings ask for: in one process' memory, on its disk, or on replicas."""

import asyncio
import signal
import threading
from contextlib import ExitStack, suppress

import pytest
import redis
from pydantic import ValidationError

from jobs import queries
from jobs.errors import StoreUnavailable
from jobs.kinds.chat import ChatTask
from jobs.settings import Settings
from jobs.states import State
from jobs.storage import transitions
from jobs.storage.async_store import AsyncStore
from jobs.storage.durability import Durability, Primary, WriteSafety, _says_alone
from jobs.storage.reply_errors import NotSafe
from jobs.storage.server_info import confirm_earlier_writes, write_probe
from jobs.storage.sync_store import Store
from tasks.submit import Submitter
from tests.support.fakes import fake
from tests.support.redis_servers import PrimaryAndReplica
from tests.support.waiting import until

REQUEST = ChatTask(kind="chat", message="hello")


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    """A primary with one replica, both with an append-only file."""
    with ExitStack() as stack:
        yield PrimaryAndReplica(tmp_path_factory.mktemp("servers"), stack, "--appendonly", "yes")


@pytest.fixture
def replica(servers):
    """The replica, in step with its primary again after the test."""
    yield servers.replica
    servers.replica.send(signal.SIGCONT)
    with redis.Redis(port=servers.primary_port) as client:
        until(lambda: client.info("replication").get("connected_slaves") == 1)
        client.config_set("appendonly", "yes")


@pytest.fixture
def submitter(servers):
    """Creates a submitter with its own connections and a setting of durability."""
    with ExitStack() as stack:

        def create(durability: str) -> Submitter:
            settings = Settings(REDIS_URL=f"redis://127.0.0.1:{servers.primary_port}/0", durability=durability)
            store = Store.open(settings)
            stack.callback(store.close)
            return Submitter(store, settings)

        yield create


@pytest.mark.parametrize("durability", ["auto", "replicas=1"])
def test_a_job_is_accepted_once_a_replica_has_it(servers, replica, submitter, durability):
    """While the replica is away no job is accepted. The same request finds its job or makes it afterwards."""
    submit = submitter(durability)
    submit.submit(REQUEST)
    replica.send(signal.SIGSTOP)

    for caller in (submit, submitter(durability)):  # the second one writes nothing new, over a new connection
        with pytest.raises(StoreUnavailable, match="0 of 1 replicas") as refused:
            caller.submit(REQUEST, idempotency_key=f"key {durability}")
        assert refused.value.retry_after_seconds
    replica.send(signal.SIGCONT)
    created = until(lambda: accepted(submit, f"key {durability}"))
    with redis.Redis(port=servers.replica_port) as client:
        assert client.exists(f"cq:job:{created.job_id}")


def accepted(submitter, key):
    """The created job; None while it is refused."""
    try:
        return submitter.submit(REQUEST, idempotency_key=key)
    except StoreUnavailable:
        return None


def test_a_user_that_may_not_ask_for_replicas_can_submit(redis_client, redis_url):
    """Managed servers often forbid INFO. The web process does not need it otherwise."""
    redis_client.acl_setuser(
        "limited", enabled=True, passwords=["+p"], keys=["*"], channels=["*"], commands=["+@all", "-info"]
    )
    try:
        store = Store.open(Settings(REDIS_URL=redis_url.replace("://", "://limited:p@")))
        assert Submitter(store, Settings(REDIS_URL=redis_url)).submit(REQUEST).is_new
        store.close()
    finally:
        redis_client.acl_deluser("limited")


@pytest.mark.parametrize("word", ["BUSY", "LOADING", "WRONGPASS"])
def test_a_server_that_cannot_be_asked_for_a_moment_is_promised_no_less(word):
    """Only a missing right is an answer. Everything else passes, and the next write asks again."""
    safety = WriteSafety("auto")
    safety.observe(Primary("id", 1))
    safety.forget()

    with pytest.raises(redis.ResponseError):
        safety.observe_error(redis.ResponseError(f"{word} of the server"))
    assert safety.must_look
    assert safety.durability.replicas == 1


def test_a_right_that_is_withdrawn_later_lowers_no_promise():
    """The server had a replica when it could be asked."""
    safety = WriteSafety("auto")
    safety.observe(Primary("id", 1))
    safety.forget()
    safety.observe_error(redis.exceptions.NoPermissionError("no right to INFO", status_code="NOPERM"))

    assert safety.durability.replicas == 1


def test_a_busy_server_is_unavailable_also_when_it_is_asked(redis_client, redis_url):
    """The question for replicas is refused like any other command; the caller gets its 503."""
    store = Store.open(Settings(REDIS_URL=redis_url))
    submitter = Submitter(store, Settings(REDIS_URL=redis_url))
    redis_client.config_set("busy-reply-threshold", 50)
    blocker = threading.Thread(target=_run_until_killed, args=[redis_url])
    blocker.start()
    try:
        until(lambda: _is_busy(redis_client))
        with pytest.raises(StoreUnavailable, match="BUSY"):
            submitter.submit(REQUEST)
    finally:
        redis_client.script_kill()
        blocker.join()
        redis_client.config_set("busy-reply-threshold", 5_000)
        store.close()


def _run_until_killed(url: str) -> None:
    with redis.Redis.from_url(url) as client, suppress(redis.RedisError):
        client.eval("while true do end", 0)


def _is_busy(client: redis.Redis) -> bool:
    try:
        client.ping()
    except redis.ResponseError as error:
        return str(error).startswith("BUSY")
    return False


@pytest.mark.parametrize("flags", ["slave", "slave,disconnected"])
def test_a_sentinel_that_has_just_lost_all_links_knows_nothing(flags):
    """Cut off together with the primary, it calls the others down only some seconds later."""
    assert not alone_by(replica=flags, peer="sentinel,disconnected", pinged_ms=100)
    assert not alone_by(replica="s_down,slave", peer="sentinel", pinged_ms=5_000)
    assert not alone_by(replica=flags, peer="sentinel", pinged_ms=100)
    assert alone_by(replica="s_down,slave,disconnected", peer="sentinel", pinged_ms=100)


def alone_by(replica: str, peer: str, pinged_ms: int) -> bool:
    """The verdict of a Sentinel with these flags of the replica and of its two peers."""
    peers = [{"flags": peer, "last-ok-ping-reply": pinged_ms}] * 2
    sentinel = fake(
        sentinel_master=lambda _: {"flags": "master", "runid": "id"},
        sentinel_slaves=lambda _: [{"flags": replica}],
        sentinel_sentinels=lambda _: peers,
        sentinel_ckquorum=lambda _: True,
    )
    return _says_alone(sentinel, "master", "id")


def test_an_answer_that_rests_on_an_earlier_write_confirms_it(servers, replica):
    """A write that was refused as not safe can be read. Whoever reports it must not call it safe."""
    store = Store.open(Settings(REDIS_URL=f"redis://127.0.0.1:{servers.primary_port}/0"))
    assert store.run(confirm_earlier_writes())
    replica.send(signal.SIGSTOP)

    for command in (confirm_earlier_writes(), write_probe()):
        with pytest.raises(StoreUnavailable, match="0 of 1 replicas"):
            store.run(command)
    store.close()


@pytest.mark.parametrize("durability", ["process", "disk"])
def test_a_lower_setting_does_not_wait_for_a_replica(replica, submitter, durability):
    """A deployment may choose to accept jobs while its replica is away."""
    replica.send(signal.SIGSTOP)

    assert submitter(durability).submit(REQUEST).is_new


def test_more_replicas_than_there_are_refuse_every_job(replica, submitter):
    """A number in the settings is strict."""
    with pytest.raises(StoreUnavailable, match="1 of 2 replicas"):
        submitter("replicas=2").submit(REQUEST)


def test_a_server_without_an_append_only_file_cannot_promise_the_disk(servers, replica, submitter):
    """The refusal states what is missing."""
    with redis.Redis(port=servers.primary_port) as client:
        client.config_set("appendonly", "no")

        with pytest.raises(StoreUnavailable, match="appendonly yes"):
            submitter("disk").submit(REQUEST)


def test_a_write_that_cannot_be_safe_takes_effect_also_on_a_server_without_our_scripts(servers, replica, submitter):
    """After a failover the scripts are unknown and the replica is missing. A cancel must stop the call all the same."""
    settings = Settings(REDIS_URL=f"redis://127.0.0.1:{servers.primary_port}/0", durability="replicas=2")
    store = Store.open(settings)
    job_id = submitter("process").submit(REQUEST).job_id
    with redis.Redis(port=servers.primary_port) as client:
        client.script_flush()

    with pytest.raises(StoreUnavailable, match="1 of 2 replicas"):
        store.run(transitions.cancel(job_id, "chatqueue", settings))
    assert store.run(queries.record(job_id)).state is State.CANCELLED
    store.close()


def test_a_worker_waits_until_its_write_is_safe(servers, replica):
    """The end of a job counts only once it is safe, because the message is acknowledged after it. Reads go on."""
    settings = Settings(REDIS_URL=f"redis://127.0.0.1:{servers.primary_port}/0")
    store = Store.open(settings)
    job_id = Submitter(store, settings).submit(REQUEST).job_id
    replica.send(signal.SIGSTOP)

    async def cancel() -> tuple[bool, str]:
        worker = AsyncStore.open(settings)
        cancelling = asyncio.create_task(worker.run(transitions.cancel(job_id, "chatqueue", settings)))
        while worker.seconds_since_outage > 60:
            await worker.run(transitions.become_leader("worker", 1_000))
            await asyncio.sleep(0.01)
        was_waiting = not cancelling.done()
        replica.send(signal.SIGCONT)
        outcome = await asyncio.wait_for(cancelling, 20)
        await worker.close()
        return was_waiting, outcome

    assert asyncio.run(cancel()) == (True, "cancelled")
    store.close()


@pytest.mark.parametrize(
    ("setting", "barrier"),
    [
        ("auto", ()),
        ("process", ()),
        ("disk", (("SET", "cq:barrier", ""), ("WAITAOF", 1, 0, 1_500))),
        ("replicas=2", (("SET", "cq:barrier", ""), ("WAIT", 2, 300))),
    ],
)
def test_each_setting_has_its_barrier(setting, barrier):
    """The barrier writes first: WAIT returns at once on a connection that has written nothing."""
    assert WriteSafety(setting).durability.barrier == barrier


def test_a_barrier_waits_for_less_than_a_call_to_redis():
    """Otherwise the caller learns only that Redis did not answer."""
    assert WriteSafety("disk", timeout_seconds=0.4).durability.wait_ms == 300


@pytest.mark.parametrize(
    ("durability", "reply"),
    [
        (Durability(replicas=2), 1),
        (Durability(replicas=1), redis.ResponseError("WAIT cannot be used with replica instances.")),
        (Durability(disk=True), [0, 1]),
    ],
)
def test_a_reply_that_counts_too_few_is_not_safe(durability, reply):
    """Also an error of the barrier itself: the write before it may be lost."""
    with pytest.raises(NotSafe):
        durability.check(reply)


def test_a_primary_that_has_just_lost_its_replica_is_not_taken_for_a_lone_one(monkeypatch):
    """It may be a former primary, whose replica has been promoted. After a while it counts as alone."""
    now = 1_000.0
    monkeypatch.setattr("jobs.storage.durability.time.monotonic", lambda: now)
    safety = WriteSafety("auto")
    required = []
    for after_seconds, replicas in [(0, 0), (0, 1), (10, 0), (10, 0), (20, 0), (0, 2)]:
        now += after_seconds
        safety.observe(Primary("id", replicas))
        required.append(safety.durability.replicas)

    assert required == [0, 1, 1, 1, 0, 1]


def test_auto_asks_again_after_a_lost_connection_and_now_and_then(monkeypatch):
    """Another server may answer then, and a replica may be added."""
    now = 1_000.0
    monkeypatch.setattr("jobs.storage.durability.time.monotonic", lambda: now)
    safety = WriteSafety("auto")
    assert safety.must_look
    safety.observe(Primary("id", 1))
    assert not safety.must_look
    safety.forget()
    assert safety.must_look
    safety.observe(Primary("id", 1))
    now += 11
    assert safety.must_look
    assert not WriteSafety("replicas=1").must_look


@pytest.mark.parametrize("value", ["", "replicas", "replicas=0", "replicas=10", "memory", "disk "])
def test_an_unknown_durability_is_rejected(value):
    """A misspelt setting must not silently promise less."""
    with pytest.raises(ValidationError):
        Settings(durability=value)
