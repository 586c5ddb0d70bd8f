"""Every read as one command, whose cost does not grow with the number of jobs. ``lookup`` runs the commands."""

import json
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from jobs.api_keys import KeyRecord
from jobs.documents import DocumentRecord
from jobs.kinds import read_request
from jobs.kinds.base import Answer, JobRequest
from jobs.models import FailedAttempt, JobRecord, Lane, QueuePosition, WaitReason
from jobs.results import JobError
from jobs.states import State
from jobs.storage import celery_result, keys
from jobs.storage.commands import Command, plain_command, record_command, script_command, text
from jobs.storage.transitions.access import TenantRecord, read_tenant_record
from jobs.tenant import DEFAULT_TENANT, Tenant

RATE_MINUTES: Final = 5  # full minutes that the rates of the stats cover, without the current minute
_MAX_POOLS: Final = 100  # in the stats; more than may wait at once
Outcome = tuple[Answer | None, JobError | None]


def record(job_id: str) -> Command[JobRecord | None]:
    return record_command(keys.job(job_id), lambda fields: JobRecord.from_hash(job_id, fields))


def queue_position(job_id: str, queue: str = keys.DEFAULT_QUEUE) -> Command[QueuePosition | None]:
    """How many jobs start before this one, and what it waits for; None when the job is not queued."""
    (minute, minute_before), elapsed_ms = keys.throughput(time.time())
    return script_command(
        "queue_position",
        keys={
            "job": keys.job(job_id),
            "namespace": keys.NAMESPACE,
            "messages": keys.messages(queue),
            "messages_high": keys.messages_high(queue),
            "minute": minute,
            "minute_before": minute_before,
        },
        args={"id": job_id, "elapsed_ms": elapsed_ms},
        read=lambda reply: QueuePosition.from_reply(reply) if reply else None,
    )


def stored_result(job_id: str) -> Command[bytes | None]:
    """What is stored when a job ends, for ``celery_result.read``; None before."""
    return plain_command("GET", keys.result(job_id), read=lambda stored: stored, wrong_type=lambda: b"")


def outcome(job_id: str) -> Command[Outcome]:
    """The answer and the error of a job; each is None if there is none."""
    return plain_command(
        "GET",
        keys.result(job_id),
        read=lambda stored: celery_result.read(stored) if stored else (None, None),
        wrong_type=lambda: celery_result.read(""),
    )


def place_of_item(tenant: Tenant, item_id: str) -> Command[tuple[str, int] | None]:
    """The job and the position of the output item with this id; None if it is unknown."""

    def read(stored: bytes | None) -> tuple[str, int] | None:
        job_id, _, position = (stored or b"").decode().rpartition(" ")
        return (job_id, int(position)) if job_id else None

    return plain_command("GET", keys.item(tenant, item_id), read=read)


def request(job_id: str) -> Command[JobRequest | None]:
    """The request of a job; None when the job has expired. Reading the reply raises RequestUnreadable."""
    return plain_command(
        "GET",
        keys.request(job_id),
        read=lambda stored: read_request(stored) if stored else None,
        wrong_type=lambda: read_request(b""),
    )


def find_by_idempotency_key(tenant: Tenant, digest: str) -> Command[tuple[str, str] | None]:
    """The fingerprint of the request that an Idempotency-Key was used with, and the id of its job."""

    def read(stored: bytes | None) -> tuple[str, str] | None:
        entry = (stored or b"").decode(errors="replace").split()
        return (entry[0], entry[1]) if len(entry) > 1 else None

    return plain_command("GET", keys.idempotency(tenant, digest), read=read)


def resend_count(tenant: Tenant, digest: str, job_id: str) -> Command[int]:
    """How often the request that created this job was resent, by its client's own count."""

    def read(entries: list[bytes]) -> int:
        counts = _read_counts({entry.split()[0]: entry.split()[1] for entry in entries if len(entry.split()) > 1})
        return counts.get(job_id, 0)

    return plain_command("LRANGE", keys.resends(tenant, digest), 0, -1, read=read)


def events(job_id: str, first: int, limit: int) -> Command[list[bytes]]:
    """Lines of the event log, from the sequence number ``first`` on."""
    return plain_command("LRANGE", keys.events(job_id), first, first + limit - 1, read=list, wrong_type=list)


def failed_attempts(job_id: str) -> Command[tuple[FailedAttempt, ...]]:
    return plain_command(
        "LRANGE",
        keys.attempts(job_id),
        0,
        -1,
        read=lambda lines: tuple(FailedAttempt.from_entry(number, line) for number, line in enumerate(lines, 1)),
        wrong_type=lambda: (FailedAttempt.from_entry(1, b""),),
    )


def page(tenant: Tenant, state: State | None, before_seq: int | None, limit: int) -> Command[list[tuple[str, int]]]:
    """Ids of the tenant's jobs with their order of creation, the newest first; only those before ``before_seq``.

    The default tenant has no index of its own, since mostly it is the only one: there are jobs of others among its own.
    """
    return _page_of(_index(tenant, state), before_seq, limit)


def count(state: State) -> Command[int]:
    """Number of jobs in this state, of all tenants."""
    return plain_command("ZCARD", keys.index(state), read=int)


def _index(tenant: Tenant, state: State | None) -> str:
    if tenant != DEFAULT_TENANT:
        return keys.tenant_index(tenant, state)
    return keys.INDEX_ALL if state is None else keys.index(state)


def tenants() -> Command[list[Tenant]]:
    """The tenants with a job or a document, now or earlier, and the default one."""
    return plain_command(
        "ZRANGE", keys.TENANTS_SEEN, 0, -1, read=lambda names: [DEFAULT_TENANT, *map(Tenant, _read_ids(names))]
    )


def tenant_list() -> Command[list[Tenant]]:
    """The tenants that were created, the oldest first."""
    return plain_command("ZRANGE", keys.TENANT_LIST, 0, -1, read=lambda names: [*map(Tenant, _read_ids(names))])


def tenant(name: Tenant) -> Command[TenantRecord | None]:
    """None if there is no such tenant."""

    def read(fields: dict[bytes, bytes]) -> TenantRecord | None:
        return read_tenant_record(name, {_lenient(field): _lenient(value) for field, value in fields.items()})

    return plain_command("HGETALL", keys.tenant(name), read=read)


def api_keys(tenant: Tenant) -> Command[list[str]]:
    """The public ids of the tenant's keys, the oldest first."""
    return plain_command("ZRANGE", keys.api_keys(tenant), 0, -1, read=_read_ids)


def api_key(key_id: str) -> Command[KeyRecord | None]:
    """None if there is no such key, or if this version cannot read its record."""
    return record_command(keys.api_key(key_id), lambda fields: KeyRecord.from_hash(key_id, fields))


def count_of_tenant(tenant: Tenant, state: State) -> Command[int]:
    """Number of the jobs in this state of a tenant that is not the default one."""
    return plain_command("ZCARD", keys.tenant_index(tenant, state), read=int)


def oldest_queued() -> Command[str | None]:
    return plain_command("ZRANGE", keys.index(State.QUEUED), 0, 0, read=lambda ids: text(ids[0]) if ids else None)


def published(queue: str) -> list[Command[int]]:
    """Queued jobs that have a message: those of normal priority, then those of high priority."""
    return [plain_command("ZCARD", name, read=int) for name in (keys.messages(queue), keys.messages_high(queue))]


@dataclass(frozen=True)
class WaitingPool:
    """The jobs of one pool and lane that wait in lines. ``until_ms``: None if the pool is open, or nobody knows."""

    name: str
    lane: Lane
    queued: int
    waiting_for: WaitReason
    until_ms: int | None


def pool_stats() -> Command[list[WaitingPool]]:
    def read(rows: list[list[Any]]) -> list[WaitingPool]:
        return [
            WaitingPool(
                _lenient(name), Lane(text(lane)), queued, WaitReason(text(reason)), until if until >= 0 else None
            )
            for name, lane, queued, reason, until in rows
        ]

    return script_command("pool_stats", keys={"namespace": keys.NAMESPACE}, args={"limit": _MAX_POOLS}, read=read)


def waiting() -> Command[int]:
    """Number of jobs that wait for the time of their next attempt."""
    return plain_command("ZCARD", keys.WAITING, read=int)


def request_bytes(tenant: Tenant = DEFAULT_TENANT) -> Command[int]:
    """Size of the requests of a tenant's jobs that have not ended; of all jobs for the default tenant."""
    field = "requests" if tenant == DEFAULT_TENANT else f"requests:{tenant}"
    return plain_command("HGET", keys.BYTES, field, read=lambda size: max(0, int(size or 0)))


def workers_since(since_ms: int) -> Command[list[str]]:
    """Names of the worker processes with a heartbeat at or after ``since_ms``."""
    return plain_command("ZRANGEBYSCORE", keys.WORKERS, since_ms, "+inf", read=_read_ids)


def worker_reports() -> Command[dict[str, bytes]]:
    """The latest report of each worker, by its name."""
    return plain_command(
        "HGETALL",
        keys.WORKER_STATUSES,
        read=lambda fields: {text(name): report for name, report in fields.items()},
    )


def has_taker() -> Command[bool]:
    """Whether a worker takes jobs."""
    return plain_command("EXISTS", keys.TAKERS, read=bool)


def totals() -> Command[dict[str, int]]:
    """The counts of events over all time."""

    def read(fields: dict[bytes, bytes]) -> dict[str, int]:
        total: Counter[str] = Counter()
        for (name, _kind), amount in _read_totals(fields).items():
            total[name] += amount
        return dict(total)

    return plain_command("HGETALL", keys.TOTALS, read=read)


def totals_by_kind() -> Command[dict[tuple[str, str], int]]:
    """The counts of events over all time, by event and kind of job; the kind is empty where it is unknown."""
    return plain_command("HGETALL", keys.TOTALS, read=_read_totals)


def metric_counts() -> Command[dict[str, int]]:
    """The counts that all processes have added: see jobs.metrics."""
    return plain_command("HGETALL", keys.METRICS, read=_read_counts)


def minutes(now_seconds: float) -> list[Command[dict[str, int]]]:
    """The counts of the current minute, then those of each of the RATE_MINUTES before it."""
    latest = int(now_seconds // 60)
    names = [keys.minute(latest - age) for age in range(RATE_MINUTES + 1)]
    return [plain_command("HGETALL", name, read=_read_counts) for name in names]


def due_retries(now_ms: int, limit: int) -> Command[list[str]]:
    """Jobs whose next attempt is due."""
    return _by_score(keys.WAITING, now_ms, limit)


def overdue(now_ms: int, limit: int) -> Command[list[str]]:
    """Jobs that have not ended although one of their time limits has passed."""
    return _by_score(keys.DEADLINES, now_ms, limit)


def expired_leases(now_ms: int, limit: int) -> Command[list[str]]:
    """Jobs in progress whose lease has expired."""
    return _by_score(keys.LEASES, now_ms, limit)


def expired_records(now_ms: int, limit: int) -> Command[list[str]]:
    """Jobs whose record has expired and whose index entries remain."""
    return _by_score(keys.EXPIRY, now_ms, limit)


def due_tombstones(now_ms: int, limit: int) -> Command[list[str]]:
    """Deleted documents that cleanup must check now for remaining data."""
    return _by_score(keys.TOMBSTONES, now_ms, limit)


def models() -> Command[list[dict[str, Any]]]:
    """The models as the provider lists them; empty until a worker has fetched the list."""
    return plain_command("GET", keys.MODELS, read=_read_models)


def server_time_ms() -> Command[int]:
    """The clock of the Redis server in ms, on which leases, waits and time limits are based."""
    return plain_command("TIME", read=lambda reply: int(reply[0]) * 1000 + int(reply[1]) // 1000)


def document(document_id: str) -> Command[DocumentRecord | None]:
    return record_command(keys.document(document_id), lambda fields: DocumentRecord.from_hash(document_id, fields))


def newest_documents(tenant: Tenant, start: int, limit: int) -> Command[list[str]]:
    """Ids of the tenant's documents, the newest first, from index ``start`` (0-based) on."""
    return plain_command("ZREVRANGE", keys.documents(tenant), start, start + limit - 1, read=_read_ids)


def document_page(tenant: Tenant, before_seq: int | None, limit: int) -> Command[list[tuple[str, int]]]:
    """Ids of the tenant's documents with their order of upload, the newest first; only those before ``before_seq``."""
    return _page_of(keys.documents(tenant), before_seq, limit)


def index_members(index: str, start: int, limit: int) -> Command[list[str]]:
    """Members of an index in its order, from position ``start`` (0-based) on."""
    return plain_command("ZRANGE", index, start, start + limit - 1, read=_read_ids)


def _page_of(index: str, before_seq: int | None, limit: int) -> Command[list[tuple[str, int]]]:
    top = "+inf" if before_seq is None else f"({before_seq}"

    def read(reply: list[bytes]) -> list[tuple[str, int]]:
        """RESP2 returns id, score, id, score in one flat list."""
        return [(_lenient(name), int(float(seq))) for name, seq in zip(reply[::2], reply[1::2], strict=True)]

    return plain_command("ZREVRANGEBYSCORE", index, top, "-inf", "WITHSCORES", "LIMIT", 0, limit, read=read)


def _by_score(name: str, top: int, limit: int) -> Command[list[str]]:
    return plain_command("ZRANGEBYSCORE", name, "-inf", top, "LIMIT", 0, limit, read=_read_ids)


def _read_ids(reply: Iterable[bytes]) -> list[str]:
    return [_lenient(entry) for entry in reply]


def _lenient(name: bytes) -> str:
    """Text of Redis; damaged text is no error."""
    return name.decode(errors="replace")


def _read_totals(fields: dict[bytes, bytes]) -> dict[tuple[str, str], int]:
    counts = _read_counts(fields).items()
    return {(name.partition(":")[0], name.partition(":")[2]): amount for name, amount in counts}


def _read_counts(fields: dict[bytes, bytes]) -> dict[str, int]:
    """The counts; one that is no number is left out."""
    return {_lenient(name): int(value) for name, value in fields.items() if value.isdigit()}


def _read_models(stored: bytes | None) -> list[dict[str, Any]]:
    """The entries that have an id; none if the list cannot be read."""
    try:
        models = json.loads(stored or b"[]")
    except (ValueError, RecursionError):
        return []
    entries = models if isinstance(models, list) else []
    return [model for model in entries if isinstance(model, dict) and isinstance(model.get("id"), str)]
