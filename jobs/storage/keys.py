r"""Every Redis key and channel, with its type, who writes it and how long it lives.

| key | type | written by | lives |
|---|---|---|---|
| cq:job:{id} | hash: the record | every verb | until final, then the result TTL |
| cq:request:{id} | string: the validated request, JSON | create | as the record |
| cq:events:{id} | list: the stream, one JSON event an entry, index = sequence number | claim, append, release, finish, cancel | until final, then the events TTL |
| cq:attempts:{id} | list: one JSON entry for each failed attempt | release, finish | as the record |
| celery-task-meta-{id} | string: the answer in Celery's own format | finish, cancel | the result TTL |
| cq:idempotency:{tenant}:{digest} | string: "fingerprint id" | create | the idempotency TTL |
| cq:resends:{tenant}:{digest} | list: "id times by" of the latest jobs that equal requests without a key have made: sent again how often, at last by the call that would have made which job; "answered" after it once that is so | create, mark_answered | the resend window |
| cq:seq | string: counter; order of creation and of messages, and of upload | create, release, republish, document_add | for ever: one number |
| cq:index:all, cq:index:{state} | zset: id by order of creation | every verb that moves a state | an entry as long as its record |
| cq:messages:{queue}, cq:messages:{queue}:high | zset: queued id by order of its message | create, republish, release; claim and cancel remove | an entry while it is queued |
| cq:claimed:{queue}, cq:claimed:{queue}:high | string: order of the latest message that led to a claim | claim | for ever: one number each |
| cq:waiting | zset: queued id by the time of its next attempt, ms | release; republish and cancel remove | an entry while it waits |
| cq:deadlines | zset: id by the first of its time limits, ms | create, claim; finish and cancel remove | an entry until it has ended |
| cq:leases | zset: id in progress by the end of its lease, ms | claim, renew; finish, release and cancel remove | an entry while it runs |
| cq:expiry | zset: final id by the time its record expires, ms | finish, cancel; delete removes | as the record |
| cq:workers | zset: worker process by its last heartbeat, ms | renew | an entry a minute after the last heartbeat |
| cq:leader | string: worker that does the maintenance | leader | 2 s after its last tick |
| cq:full | string: Redis is nearly full, submits are refused | recovery | 5 s after it was last seen so |
| cq:totals | hash: events counted since the beginning | create, finish, cancel, release | for ever: ten numbers |
| cq:minute:{n} | hash: the same of one minute | create, finish, cancel, release | an hour |
| cq:models | string: the models that the provider lists, JSON | the workers' model list | a day after it was last listed |
| cq:models:turn | string: worker that has asked for them last | the workers' model list | two minutes, then somebody asks again |
| cq:document:{id} | hash: the document's record | document_add, document_reassign, document_start, document_update, document_remove; document_purge removes | until it is deleted: a document is kept as long as it is wanted |
| cq:documents:{tenant} | zset: document by order of upload | document_add; document_purge removes | as the record |
| cq:document-by-hash:{tenant}:{digest} | string: the document that has this content | document_add; document_remove removes | until it is deleted |
| cq:tombstones | zset: document that is being deleted, or was lately, by the time to look what is left of it, ms | document_remove, document_purge; the workers' document cleanup removes | an entry until an hour after its record |
| cq:probe | string: what the readiness check writes | the web | ten seconds |
| {queue}, {queue}\\x06\\x163 | list: Celery's messages, high and normal priority | create, republish, release; kombu | until a worker takes it |

| channel | says | published by |
|---|---|---|
| cq:changed:{id} | the events just written to its log, see include_log.lua | claim, append, release, finish, cancel |
| cq:listener:{name} | to one process's listener: look at your list of waiters | that process |
| cq:cancelled | an id whose running call must stop | cancel, delete |
| celery-task-meta-{id} | the answer, for a waiting AsyncResult.get | finish, cancel |
"""

from typing import Final

from jobs.states import State

SEQ: Final = "cq:seq"
INDEX_ALL: Final = "cq:index:all"
WAITING: Final = "cq:waiting"
DEADLINES: Final = "cq:deadlines"
LEASES: Final = "cq:leases"
EXPIRY: Final = "cq:expiry"
WORKERS: Final = "cq:workers"
FULL: Final = "cq:full"
LEADER: Final = "cq:leader"
TOTALS: Final = "cq:totals"
MODELS: Final = "cq:models"
MODELS_TURN: Final = "cq:models:turn"
TOMBSTONES: Final = "cq:tombstones"
PROBE: Final = "cq:probe"
CANCELLED_CHANNEL: Final = "cq:cancelled"
CHANGED_CHANNEL_PREFIX: Final = "cq:changed:"
FINAL_CHANGE_PREFIX: Final = b"final "  # how the message on that channel begins after which nothing is written any more

DEFAULT_QUEUE: Final = "chatqueue"
NORMAL_PRIORITY: Final = 3  # of a first attempt; kombu's Redis transport keeps one list for each of 0, 3, 6, 9
HIGH_PRIORITY: Final = 0  # of a job that has waited once already: it goes before the backlog
_PRIORITY_SEPARATOR: Final = "\x06\x16"  # kombu.transport.redis.Channel.sep; a test holds it to kombu's


def job(job_id: str) -> str:
    return f"cq:job:{job_id}"


def request(job_id: str) -> str:
    return f"cq:request:{job_id}"


def events(job_id: str) -> str:
    return f"cq:events:{job_id}"


def attempts(job_id: str) -> str:
    return f"cq:attempts:{job_id}"


def result(job_id: str) -> str:
    """Celery's own result key; a test holds it to Celery's."""
    return f"celery-task-meta-{job_id}"


def idempotency(tenant: str, digest: str) -> str:
    return f"cq:idempotency:{tenant}:{digest}"


def resends(tenant: str, digest: str) -> str:
    return f"cq:resends:{tenant}:{digest}"


def index(state: State) -> str:
    return f"cq:index:{state}"


def messages(queue: str) -> str:
    return f"cq:messages:{queue}"


def messages_high(queue: str) -> str:
    return f"cq:messages:{queue}:high"


def claimed(queue: str) -> str:
    return f"cq:claimed:{queue}"


def claimed_high(queue: str) -> str:
    return f"cq:claimed:{queue}:high"


def minute(epoch_minute: int) -> str:
    return f"cq:minute:{epoch_minute}"


def document(document_id: str) -> str:
    return f"cq:document:{document_id}"


def documents(tenant: str) -> str:
    return f"cq:documents:{tenant}"


def document_by_hash(tenant: str, sha256: str) -> str:
    return f"cq:document-by-hash:{tenant}:{sha256}"


def throughput(now_seconds: float) -> tuple[list[str], int]:
    """What include_wait_estimate.lua reads: counts of the running minute and of the one before, and ms since the former began."""
    running, elapsed = divmod(now_seconds, 60)
    return [minute(int(running)), minute(int(running) - 1)], round(elapsed * 1000)


def broker_list(queue: str, priority: int) -> str:
    """The list in which kombu's Redis transport keeps a queue's messages of one priority."""
    return f"{queue}{_PRIORITY_SEPARATOR}{priority}" if priority else queue


def changed_channel(job_id: str) -> str:
    return f"{CHANGED_CHANNEL_PREFIX}{job_id}"


def listener_channel(name: str) -> str:
    return f"cq:listener:{name}"
