"""A tenant reaches its own jobs and documents, and nothing of another tenant: not even whether it exists."""

import uuid

import pytest

from jobs import document_lookup, lookup, queries
from jobs.documents import NewDocument
from jobs.errors import DocumentNotFound, JobNotFound
from jobs.states import State
from jobs.storage import keys, transitions
from jobs.tenant import DEFAULT_TENANT, Tenant, read_tenant
from jobs.tenant_store import TenantStore
from jobs.watch.follow import follow
from jobs.watch.listener import ChangeListener
from tests.jobs.conftest import ANSWER

A, B = Tenant("proj_a"), Tenant("proj_b")
TENANTS = (DEFAULT_TENANT, A, B)


@pytest.fixture
def stores(store):
    return {tenant: TenantStore(store, tenant) for tenant in TENANTS}


@pytest.fixture
def create(jobs):
    return lambda tenant, **fields: jobs.create(jobs.new_job(**fields).model_copy(update={"tenant": tenant}))


def listed(store, state=None):
    return [job.job_id for job in lookup.page(store, state, None, 50).records]


@pytest.mark.parametrize("name", ["", "a:b", "a b", "x" * 65, "é", "a\n"])
def test_a_name_that_could_not_stand_in_a_key_is_no_tenant(name):
    """Two tenants never share a key."""
    assert read_tenant(name) is None


@pytest.mark.parametrize("owner", TENANTS)
def test_the_job_of_another_tenant_is_like_none(jobs, stores, create, owner, redis_client):
    """In every read, also of a damaged request, which must not show that the job exists."""
    lease = jobs.lease(create(owner))
    job_id, unknown = lease.job_id, f"job_{'0' * 32}"
    assert jobs.finish(lease)
    jobs.store.run(transitions.remember_item(owner, "item_1", f"{job_id} 0", 60))

    for tenant, store in stores.items():
        found = lookup.records(store, [job_id, unknown])
        if tenant == owner:
            assert found.unknown == (unknown,)
            assert lookup.view(store, job_id).answer == ANSWER
            assert store.places_of_items(["item_1"]) == [(job_id, 0)]
            continue
        assert found.unknown == (job_id, unknown)
        assert store.read_job(job_id, queries.outcome) == store.read_job(unknown, queries.outcome) == (None, [])
        assert store.places_of_items(["item_1"]) == [None]
        for read in (lookup.record, lookup.view, lookup.details):
            with pytest.raises(JobNotFound):
                read(store, job_id)
        with pytest.raises(JobNotFound):
            next(follow(store, ChangeListener(redis_client), job_id, -1, 1))


def test_a_damaged_request_of_another_tenant_raises_nothing(jobs, stores, create, redis_client):
    """Its error would show that the job exists."""
    job_id = create(A)
    redis_client.set(keys.request(job_id), "{")

    assert stores[B].read_job(job_id, queries.request) == (None, [])


def test_a_record_of_another_tenant_is_not_changed(jobs, stores, create):
    """Even a view that has got hold of the record cannot cancel or delete the job."""
    job_id = create(A)
    record = jobs.record(job_id)

    stores[B].cancel(record, jobs.settings)
    stores[B].delete(record)
    assert jobs.record(job_id) == record
    stores[A].cancel(record, jobs.settings)
    assert jobs.record(job_id).state is State.CANCELLED


def test_equal_idempotency_keys_of_two_tenants_are_two_jobs(stores, create):
    """The key of one tenant neither finds nor blocks the job of another."""
    first, second = create(A, key="k"), create(B, key="k", message="another request")

    assert first != second
    assert create(A, key="k") == first


def test_lists_and_counts_follow_each_job_of_a_tenant(jobs, stores, create, redis_client):
    """Through every state to the deletion, after which nothing of the job is left."""
    own = {tenant: [create(tenant) for _ in range(6)] for tenant in TENANTS}
    for tenant in TENANTS:
        completed, failed, cancelled, released, running, queued = own[tenant]
        assert jobs.finish(jobs.lease(completed))
        assert jobs.fail(jobs.lease(failed))
        jobs.cancel(cancelled)
        assert jobs.release(jobs.lease(released)) is not None
        jobs.lease(running)
        states = {State.COMPLETED: [completed], State.FAILED: [failed], State.CANCELLED: [cancelled],
                  State.IN_PROGRESS: [running], State.QUEUED: [queued, released], None: own[tenant][::-1]}  # fmt: skip
        assert {state: listed(stores[tenant], state) for state in states} == states
    numbers = {State.QUEUED: 2, **dict.fromkeys((State.FAILED, State.IN_PROGRESS, State.COMPLETED, State.CANCELLED), 1)}
    for store in stores.values():
        assert {state: number for state, number in store.counts().items() if number} == numbers

    for tenant in TENANTS:
        for job_id in own[tenant]:
            jobs.cancel(job_id)
            assert jobs.delete(job_id) == "deleted"
        assert listed(stores[tenant]) == []
    assert redis_client.keys("cq:tenant-index:*") == []
    assert redis_client.hlen(keys.TENANT_OF) == 0


def test_an_expired_record_leaves_the_lists_of_its_tenant(jobs, create, redis_client):
    """Its tenant is known without the record."""
    job_id = create(A)
    jobs.cancel(job_id)
    redis_client.delete(keys.job(job_id))

    jobs.store.run(transitions.delete(job_id, None))

    assert redis_client.keys("cq:tenant-index:*") == []


def test_the_bytes_of_each_tenant_are_counted_and_repaired(jobs, stores, create, redis_client):
    """Of requests and of documents; a lost or wrong count is added up again."""
    requests = {tenant: create(tenant) for tenant in TENANTS}
    new = NewDocument(
        document_id="doc_1", tenant=A, job_id=f"job_{uuid.uuid4().hex}", filename="f", kind="text", size=7, sha256="0"
    )
    stores[A].add_document(new, 100)
    size = redis_client.strlen(keys.request(requests[A]))
    expected = {f"requests:{A}": size, f"requests:{B}": size, f"documents:{A}": 7, "requests": 3 * size, "documents": 7}

    def counted():
        return {name.decode(): int(value) for name, value in redis_client.hgetall(keys.BYTES).items() if int(value)}

    assert counted() == expected
    redis_client.hset(keys.BYTES, f"documents:{A}", 99)
    redis_client.hdel(keys.BYTES, f"requests:{B}")
    tenants = jobs.store.run(queries.tenants())
    assert tenants == list(TENANTS)
    assert jobs.store.run(transitions.audit_sizes(tenants)) == (True, True)
    assert counted() == expected
    assert jobs.store.run(transitions.audit_sizes(tenants)) == (False, False)
    for job_id in requests.values():
        jobs.cancel(job_id)
    assert counted() == {f"documents:{A}": 7, "documents": 7}


def test_a_document_is_of_one_tenant(stores):
    """Another tenant's upload of the same content is another document, and the list shows one's own."""
    new = {
        tenant: NewDocument(
            document_id=f"doc_{tenant}", tenant=tenant, job_id=f"job_{uuid.uuid4().hex}", filename="f", kind="text",
            size=7, sha256="0",
        )
        for tenant in TENANTS
    }  # fmt: skip

    assert {tenant: stores[tenant].add_document(new[tenant], 100) for tenant in TENANTS} == {
        tenant: f"doc_{tenant}" for tenant in TENANTS
    }
    for tenant, store in stores.items():
        assert [view.record.document_id for view in document_lookup.page(store, None, 9).views] == [f"doc_{tenant}"]
        other = next(name for name in TENANTS if name != tenant)
        with pytest.raises(DocumentNotFound):
            document_lookup.view(store, f"doc_{other}")
        (record,) = stores[other].read_documents([f"doc_{other}"])
        assert store.remove_document(record, "", "job_x") is store.reassign_document(record, "", "job_x") is None
