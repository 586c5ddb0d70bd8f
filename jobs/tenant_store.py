"""The store as one tenant sees it: the only way from a request to a job, a document or a list of them.

Every read by an id reads the record too, in the same round trip. The job of another tenant is like none: nothing else
that was read of it is looked at. So a caller cannot tell such an id from an unknown one, and a view that forgets to
check cannot be written.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias, TypeVar

from jobs import queries
from jobs.documents import DocumentRecord, NewDocument
from jobs.errors import InternalError
from jobs.models import JobRecord, is_job_id
from jobs.settings import Settings
from jobs.states import State
from jobs.storage import transitions
from jobs.storage.commands import Command
from jobs.storage.server_info import confirm_earlier_writes
from jobs.tenant import DEFAULT_TENANT, Tenant

T = TypeVar("T")
Read: TypeAlias = Callable[[str], Command[Any]]  # makes a read of the job with this id


class RunsCommands(Protocol):
    """What is used of a ``Store``."""

    def run(self, command: Command[T]) -> T: ...

    def run_all(self, commands: list[Command[T]]) -> list[T]: ...


class TenantStore:
    """The jobs and documents of ``tenant``. Each call is one round trip and raises StoreUnavailable."""

    def __init__(self, store: RunsCommands, tenant: Tenant) -> None:
        self._store = store
        self.tenant = tenant

    def read_job(self, job_id: str, *reads: Read) -> tuple[JobRecord | None, list[Any]]:
        """The record of a job, and the values of further reads of it; (None, []) if the tenant has no such job.

        Reading the values may raise what these commands raise, but never for the job of another tenant.
        """
        if not is_job_id(job_id):
            return None, []
        commands: list[Command[Any]] = [queries.record(job_id), *(_unread(read(job_id)) for read in reads)]
        record, *unread = self._store.run_all(commands)
        return (record, [value() for value in unread]) if self._owns(record) else (None, [])

    def read_jobs(
        self, job_ids: Iterable[str], *reads: Read, beside: Sequence[Command[Any]] = ()
    ) -> tuple[dict[str, tuple[JobRecord, list[Any]]], list[Any]]:
        """As ``read_job`` for many jobs, by id; without those that the tenant does not have.

        ``beside``: commands that concern no job, whose values are returned as well.
        """
        well_formed = [job_id for job_id in dict.fromkeys(job_ids) if is_job_id(job_id)]
        commands: list[Command[Any]] = list(beside)
        for job_id in well_formed:
            commands += [queries.record(job_id), *(_unread(read(job_id)) for read in reads)]
        values = self._store.run_all(commands)
        rows = _rows(values[len(beside) :], 1 + len(reads))
        found = {
            job_id: (record, [value() for value in unread])
            for job_id, (record, *unread) in zip(well_formed, rows, strict=True)
            if self._owns(record)
        }
        return found, values[: len(beside)]

    def page(self, state: State | None, before_seq: int | None, limit: int) -> list[tuple[str, int]]:
        """Ids with their order of creation, the newest first. For the default tenant there may be ids of others."""
        return self._run(queries.page(self.tenant, state, before_seq, limit))

    def stored_result(self, record: JobRecord) -> bytes | None:
        """What is stored when a job ends; None before."""
        return self._run(queries.stored_result(record.job_id)) if self._owns(record) else None

    def counts(self) -> dict[State, int]:
        """Number of jobs by state. The default tenant has what no other tenant has. Three round trips for that one."""
        if self.tenant != DEFAULT_TENANT:
            return self._counts_of([self.tenant])
        tenants: list[Tenant] = self._run(queries.tenants())
        others = self._counts_of([tenant for tenant in tenants if tenant != DEFAULT_TENANT])
        of_all = self._store.run_all([queries.count(state) for state in State])
        return {state: max(0, number - others[state]) for state, number in zip(State, of_all, strict=True)}

    def _counts_of(self, tenants: Sequence[Tenant]) -> dict[State, int]:
        commands = [queries.count_of_tenant(tenant, state) for state in State for tenant in tenants]
        numbers = _rows(self._store.run_all(commands), len(tenants)) if tenants else [[0]] * len(State)
        return {state: sum(row) for state, row in zip(State, numbers, strict=True)}

    def request_bytes(self) -> int:
        """Size of the requests of the tenant's jobs that have not ended."""
        if self.tenant != DEFAULT_TENANT:
            return self._run(queries.request_bytes(self.tenant))
        tenants: list[Tenant] = self._run(queries.tenants())  # the default one is the first
        of_all, *of_others = self._store.run_all(list(map(queries.request_bytes, tenants)))
        return max(0, of_all - sum(of_others))

    def cancel(self, record: JobRecord, settings: Settings) -> None:
        """May be repeated; a job that is final or of another tenant does not change."""
        if self._owns(record):
            self._run(transitions.cancel(record.job_id, record.queue, settings))

    def delete(self, record: JobRecord) -> None:
        """Delete a job that has ended."""
        if self._owns(record):
            self._run(transitions.delete(record.job_id, record))

    def find_by_idempotency_key(self, digest: str) -> tuple[str, str] | None:
        return self._run(queries.find_by_idempotency_key(self.tenant, digest))

    def resend_count(self, digest: str, job_id: str) -> int:
        return self._run(queries.resend_count(self.tenant, digest, job_id))

    def mark_answered(self, idempotency_key: str, job_id: str) -> None:
        """As the transition of that name; it also raises QueueFull."""
        self._run(transitions.mark_answered(self.tenant, idempotency_key, job_id))

    def remember_items(self, places: Mapping[str, str], ttl_seconds: int) -> None:
        """Remember the job and the position of each output item, by the item's id."""
        self._store.run_all(
            [transitions.remember_item(self.tenant, item, place, ttl_seconds) for item, place in places.items()]
        )

    def places_of_items(self, item_ids: Iterable[str]) -> list[tuple[str, int] | None]:
        """The job and the position of each item; None for one that is unknown."""
        return self._store.run_all([queries.place_of_item(self.tenant, item_id) for item_id in item_ids])

    def read_documents(self, document_ids: Iterable[str]) -> list[DocumentRecord | None]:
        """The records, in the order of the ids; None for a document that the tenant does not have."""
        records = self._store.run_all([queries.document(document_id) for document_id in document_ids])
        return [record if self._owns(record) else None for record in records]

    def document_page(self, before_seq: int | None, limit: int) -> list[tuple[str, int]]:
        return self._run(queries.document_page(self.tenant, before_seq, limit))

    def add_document(self, document: NewDocument, max_bytes: int) -> str:
        """The id of the new document, or of the tenant's document with the same content. Raises DocumentsFull."""
        if document.tenant != self.tenant:
            raise InternalError("a document of another tenant")
        return self._run(transitions.document.add(document, max_bytes))

    def forget_document(self, document_id: str, sha256: str) -> None:
        """Remove what still refers to a document of the tenant whose record is lost."""
        self._run(transitions.document.forget(document_id, self.tenant, sha256))

    def reassign_document(self, record: DocumentRecord, ended_job: str, new_job: str) -> str | None:
        """As the transition ``document.reassign``."""
        own = transitions.document.reassign(record.document_id, ended_job, new_job)
        return self._run(own) if self._owns(record) else None

    def edit_document(self, record: DocumentRecord, filename: str | None, tags: tuple[str, ...] | None) -> bool:
        """As the transition ``document.edit``."""
        return self._owns(record) and self._run(transitions.document.edit(record.document_id, filename, tags))

    def ingest_document_again(self, record: DocumentRecord, new_job: str) -> str | None:
        """As the transition ``document.ingest_again``."""
        return self._run(transitions.document.ingest_again(record.document_id, new_job)) if self._owns(record) else None

    def remove_document(self, record: DocumentRecord, ended_job: str, new_job: str) -> str | None:
        """As the transition ``document.remove``."""
        return self._run(transitions.document.remove(record, ended_job, new_job)) if self._owns(record) else None

    def confirm_earlier_writes(self) -> None:
        """Raises StoreUnavailable unless everything written before is as safe as the settings ask for."""
        self._run(confirm_earlier_writes())

    def _owns(self, record: JobRecord | DocumentRecord | None) -> bool:
        return record is not None and record.tenant == self.tenant

    def _run(self, command: Command[T]) -> T:
        return self._store.run(command)


def default_store(store: RunsCommands) -> TenantStore:
    """The store as the default tenant sees it."""
    return TenantStore(store, DEFAULT_TENANT)


def _rows(values: list[Any], width: int) -> list[list[Any]]:
    return [values[start : start + width] for start in range(0, len(values), width)]


def _unread(command: Command[T]) -> Command[Callable[[], T]]:
    """The command with a function for its value, so that the value can be read later, or not at all."""
    wrong_type = command.wrong_type
    return Command(
        command.arguments,
        lambda reply: lambda: command.read(reply),
        command.script,
        command.must_be_safe,
        None if wrong_type is None else lambda: wrong_type,
    )
