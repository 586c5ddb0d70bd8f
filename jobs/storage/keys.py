r"""Every Redis key and channel, with its type, its writers and its lifetime.

| key | type | written by | lifetime |
|---|---|---|---|
| cq:job:{id} | hash: the record | every transition of a job; document_start, document_update (progress) | until final, then the result TTL; delete removes it |
| cq:request:{id} | string: the validated request, JSON | create | as the record; a large one ends earlier, see large_request_ttl_seconds |
| cq:events:{id} | list: the event log, one JSON event per entry, index = sequence number | claim, append, release, finish, cancel | until final, then the events TTL |
| cq:attempts:{id} | list: one JSON entry per failed attempt | release, finish | as the record |
| celery-task-meta-{id} | string: the answer in Celery's own format | finish, cancel | the result TTL |
| cq:idempotency:{tenant}:{digest} | string: "fingerprint id" | create; delete removes | the idempotency TTL |
| cq:resends:{tenant}:{digest} | list: the latest 32 jobs created by equal requests without a key. An entry is "id count by": the job, how often its request was resent, and the id that the latest resend would have created. "answered" is appended once the call has its answer | create, mark_answered | the resend window |
| cq:item:{tenant}:{digest} | string: "job position" of the output item with this id | remember_item | the result TTL |
| cq:seq | string: counter that orders jobs, messages and uploads | create, release, republish, document_add | permanent: one number |
| cq:index:all | zset: id by order of creation | create; delete removes | an entry as long as its record |
| cq:index:{state} | zset: id by order of creation | every transition that changes the state; delete removes | an entry as long as its job is in that state |
| cq:tenant-index:{tenant}:all, cq:tenant-index:{tenant}:{state} | zset: as cq:index:..., of the jobs of one tenant; the default tenant has none | as cq:index:... | as cq:index:... |
| cq:tenant-of | hash: tenant of each job that is not the default tenant's | create; delete removes | an entry as long as the job's record |
| cq:tenants-seen | set: tenants with a job or a document, without the default one | create, document_add | permanent: one name per tenant |
| cq:messages:{queue}, cq:messages:{queue}:high | zset: published id by order of its message | dispatch, republish; claim, finish and cancel remove | an entry until its job is claimed or has ended |
| cq:window:{queue} | hash: the slots of all workers, until when they count, and how messages are published | report_worker; create | kept; the slots count for a lease |
| cq:dispatchers | zset: the workers in takers that dispatch: not those of the previous version; score: as in takers | report_worker | as takers |
| cq:slots-of | hash: the slots of each worker in dispatchers | report_worker | a lease after the last report of a worker |
| cq:line:{lane}:{tenant}:{fair key}:{pool} | zset: waiting id by order of creation | create, release, republish, claim; dispatch, finish and cancel remove | an entry while its job waits there |
| cq:fair-keys:{lane}:{tenant}:{pool} | zset: fair key with waiting jobs by its virtual time | as line | an entry while a job waits |
| cq:tenants:{lane}:{pool} | zset: tenant with waiting jobs by its virtual time | as line | an entry while a job waits |
| cq:pools:{lane} | zset: pool with waiting jobs by the time from which it may be open, ms | as line; dispatch, observe_limits | an entry while a job waits |
| cq:queued:{lane} | hash: number of waiting jobs by pool | as line | an entry while a job waits |
| cq:closed | hash: why a pool was closed last, by pool | dispatch, claim | an entry while jobs of the pool wait |
| cq:clock, cq:clock:pools, cq:clock:{lane}, cq:clock:{lane}:{tenant} | zset: lane, pool, tenant or fair key by the virtual time of its next start; '' is the clock's own time | dispatch | a day after its last start |
| cq:tenant:{tenant} | hash: its weight, name, and when it was created and archived | set_tenant_weight, add_tenant, archive_tenant | kept |
| cq:tenant-list | zset: tenant by the time of its creation, ms | add_tenant | kept |
| cq:api-key:{id} | hash: the record of an API key, with the SHA-256 of its text | key_add, key_end, key_use | kept |
| cq:api-keys:{tenant} | zset: key by the time of its creation, ms | key_add | kept |
| cq:auth-failures:{digest} | string: number of requests with a wrong key from one address | note_auth_failure | a minute |
| cq:routes | hash: the targets of a pool | configure_targets | kept |
| cq:configured | set: targets and providers with configured limits | configure_targets | kept |
| cq:calls | hash: number of calls that running jobs make besides their own, by target and time of the start | begin_call; end_call, audit_queue remove | an entry until the call has ended; an hour after its worker died |
| cq:targets | set: targets that have been called | claim, begin_call; audit_queue removes | an entry as long as its target |
| cq:target:{target} | hash: limits, pace, breaker and calls of a target or of a provider | claim, finish, release, note_fault, note_output, observe_limits, configure_targets, audit_queue | a day after its last call; configured limits are written again |
| cq:requests:{target}, cq:tokens:{target} | hash: requests and tokens of the last 61 seconds, by second | claim, finish, note_fault, observe_limits | two minutes after the last call |
| cq:outbox | list: ids that are to be published over another broker than this server | dispatch; take_outbox removes | until a process publishes them |
| cq:claimed:{queue}, cq:claimed:{queue}:high | string: order of the latest message that led to a claim | claim | permanent: one number each |
| cq:waiting | zset: queued id by the time of its next attempt, ms | release, claim (put back); claim, republish, finish and cancel remove | an entry while its job waits |
| cq:deadlines | zset: id by the first of its time limits, ms | create, claim, release (put back); finish and cancel remove | an entry until its job has ended |
| cq:leases | zset: id in progress by the end of its lease, ms | claim, renew; finish, release and cancel remove | an entry while its job runs |
| cq:expiry | zset: final id by the time its record expires, ms | finish, cancel; delete removes | as the record |
| cq:workers | zset: worker by its last heartbeat, ms | renew, report_worker | an entry until a minute after its last heartbeat |
| cq:worker-statuses | hash: the status of each worker, JSON | report_worker | an entry until a minute after its last heartbeat |
| cq:takers | zset: worker that takes jobs by the time until which this counts, ms | report_worker | a lease after the last report of a worker; no key: no worker takes jobs |
| cq:leader | string: the worker that does the maintenance | leader | 2 s after the leader's last tick |
| cq:full | string: Redis is nearly full, submits are refused | refuse_submits | 5 s after Redis was last nearly full |
| cq:bytes | hash: size of the requests of all jobs that have not ended (requests), and of all documents (documents); requests:{tenant}, documents:{tenant}: of each tenant but the default one | create, finish, cancel, delete; document_add, document_purge; audit_sizes | permanent: two numbers, and two per tenant |
| cq:totals | hash: counts of events over all time, most by kind of job | create, finish, cancel, release, count_ghosts, note_auth_failure | permanent: ten numbers for each kind |
| cq:metrics | hash: the counts of all processes, see jobs/metrics.py | add_counts | permanent: the labels' values are limited |
| cq:metrics:latest:{process} | string: the number of the latest addition of this process | add_counts | an hour |
| cq:minute:{n} | hash: the same counts for one minute | create, finish, cancel, release | an hour |
| cq:models | string: the models that the provider lists, JSON | save_models | a day after the last listing |
| cq:models:turn | string: the worker that fetched the list last | claim_model_list_turn | two minutes, then a worker fetches it again |
| cq:document:{id} | hash: the document's record | document_add, document_edit, document_reassign, document_ingest_again, document_start, document_update, document_remove; document_purge removes | until the document is deleted |
| cq:documents:{tenant} | zset: document by order of upload | document_add; document_purge, document_forget remove | as the record |
| cq:document-by-hash:{tenant}:{digest} | string: the document with this content | document_add; document_remove, document_forget remove | until the document is deleted |
| cq:tombstones | zset: deleted document by the time to check for data that remains, ms | document_remove, document_purge; drop_tombstone removes | an entry until an hour after its record |
| cq:chunk-table:{name} | string: the worker that creates this table of chunks | leader | until the table exists, at most a minute |
| cq:primary | hash: run id of the server that holds the records, and since when | note_primary | kept |
| cq:barrier | string, empty: a write whose safety shows that of every write before it | durability.py | kept |
| cq:probe | string: the readiness check's write | write_probe | ten seconds |
| {queue}, {queue}\\x06\\x163 | list: Celery's messages of high and of normal priority | create, republish, release; kombu | until a worker takes the message |

| channel | message | published by |
|---|---|---|
| cq:changed:{id} | the events just written to the job's log, see include_log.lua | claim, append, release, finish, cancel |
| cq:listener:{name} | empty: the listener of one process is closed | that listener |
| cq:cancelled | the id of a job whose running call must stop | cancel |
| cq:opening | ms until a pool with waiting jobs may be open: the leader dispatches then | every transition that looks at waiting jobs; end_call, observe_limits, configure_targets |
| celery-task-meta-{id} | the stored result, for whoever waits for the end, also in AsyncResult.get | finish, cancel |
"""

import hashlib
from typing import Final

from jobs import models
from jobs.states import State
from jobs.tenant import Tenant

SEQ: Final = "cq:seq"
INDEX_ALL: Final = "cq:index:all"
WAITING: Final = "cq:waiting"
DEADLINES: Final = "cq:deadlines"
LEASES: Final = "cq:leases"
EXPIRY: Final = "cq:expiry"
WORKERS: Final = "cq:workers"
WORKER_STATUSES: Final = "cq:worker-statuses"
TAKERS: Final = "cq:takers"
FULL: Final = "cq:full"
BYTES: Final = "cq:bytes"
LEADER: Final = "cq:leader"
TOTALS: Final = "cq:totals"
METRICS: Final = "cq:metrics"
MODELS: Final = "cq:models"
MODELS_TURN: Final = "cq:models:turn"
TOMBSTONES: Final = "cq:tombstones"
PROBE: Final = "cq:probe"
PRIMARY: Final = "cq:primary"
NAMESPACE: Final = "cq:"  # of the keys that scripts build: which lines and targets concern them depends on who waits
TENANT_OF: Final = "cq:tenant-of"
TENANTS_SEEN: Final = "cq:tenants-seen"
TENANT_LIST: Final = "cq:tenant-list"
OUTBOX: Final = "cq:outbox"
TARGETS: Final = "cq:targets"
BARRIER: Final = "cq:barrier"
CANCELLED_CHANNEL: Final = "cq:cancelled"
OPENING_CHANNEL: Final = "cq:opening"
CHANGED_CHANNEL_PREFIX: Final = "cq:changed:"
FINAL_CHANGE_PREFIX: Final = b"final "  # of the last message on that channel: nothing is written after it

DEFAULT_QUEUE: Final = models.DEFAULT_QUEUE
_PRIORITY_SEPARATOR: Final = "\x06\x16"  # kombu.transport.redis.Channel.sep; a test compares it with kombu's


def job(job_id: str) -> str:
    return f"cq:job:{job_id}"


def request(job_id: str) -> str:
    return f"cq:request:{job_id}"


def events(job_id: str) -> str:
    return f"cq:events:{job_id}"


def attempts(job_id: str) -> str:
    return f"cq:attempts:{job_id}"


def result(job_id: str) -> str:
    """Celery's own result key; a test compares it with Celery's."""
    return f"celery-task-meta-{job_id}"


def idempotency(tenant: Tenant, digest: str) -> str:
    return f"cq:idempotency:{tenant}:{digest}"


def resends(tenant: Tenant, digest: str) -> str:
    return f"cq:resends:{tenant}:{digest}"


def item(tenant: Tenant, item_id: str) -> str:
    """By a digest: a provider's ids may be long, and contain anything."""
    return f"cq:item:{tenant}:{hashlib.blake2b(item_id.encode('utf-8', 'replace'), digest_size=16).hexdigest()}"


def index(state: State) -> str:
    return f"cq:index:{state}"


def tenant_index(tenant: Tenant, state: State | None) -> str:
    """The index of one tenant, which is not the default one. ``state``: None for the jobs in any state."""
    return f"cq:tenant-index:{tenant}:{state or 'all'}"


def messages(queue: str) -> str:
    return f"cq:messages:{queue}"


def messages_high(queue: str) -> str:
    return f"cq:messages:{queue}:high"


def window(queue: str) -> str:
    return f"cq:window:{queue}"


def tenant(name: Tenant) -> str:
    return f"cq:tenant:{name}"


def api_key(key_id: str) -> str:
    return f"cq:api-key:{key_id}"


def api_keys(tenant: Tenant) -> str:
    return f"cq:api-keys:{tenant}"


def auth_failures(address_digest: str) -> str:
    return f"cq:auth-failures:{address_digest}"


def target(name: str) -> str:
    """``name``: of a target or of a provider."""
    return f"cq:target:{name}"


def claimed(queue: str) -> str:
    return f"cq:claimed:{queue}"


def claimed_high(queue: str) -> str:
    return f"cq:claimed:{queue}:high"


def minute(epoch_minute: int) -> str:
    return f"cq:minute:{epoch_minute}"


def latest_addition(process: str) -> str:
    return f"cq:metrics:latest:{process}"


def document(document_id: str) -> str:
    return f"cq:document:{document_id}"


def documents(tenant: Tenant) -> str:
    return f"cq:documents:{tenant}"


def document_by_hash(tenant: Tenant, sha256: str) -> str:
    return f"cq:document-by-hash:{tenant}:{sha256}"


def chunk_table(name: str) -> str:
    return f"cq:chunk-table:{name}"


def throughput(now_seconds: float) -> tuple[list[str], int]:
    """The keys of the counts of the current and the previous minute, and the ms since the current minute began."""
    current, elapsed = divmod(now_seconds, 60)
    return [minute(int(current)), minute(int(current) - 1)], round(elapsed * 1000)


def broker_list(queue: str, priority: int) -> str:
    """The list in which kombu's Redis transport keeps a queue's messages of one priority."""
    return f"{queue}{_PRIORITY_SEPARATOR}{priority}" if priority else queue


def changed_channel(job_id: str) -> str:
    return f"{CHANGED_CHANNEL_PREFIX}{job_id}"


def listener_channel(name: str) -> str:
    return f"cq:listener:{name}"
