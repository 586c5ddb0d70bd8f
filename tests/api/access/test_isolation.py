"""Isolation: every route with the ids of another tenant, and random operations of three tenants with stolen ids."""

import json
import os
import random
import uuid

import pytest

from api.http import scopes
from jobs.kinds.response import ResponseAnswer
from jobs.storage import keys
from tests.api.access.conftest import ADMIN_KEY

OPERATIONS = int(os.environ.get("CHATQUEUE_TEST_OPERATIONS", "300"))
SECRET = "secret of"
READS = (
    "/api/v1/tasks/{}",
    "/api/v1/tasks/{}/result",
    "/api/v1/chat/jobs/{}",
    "/v1/responses/{}",
    "/v1/responses/{}/input_items",
    "/v1/chat/completions/{}",
    "/v1/completions/{}",
)


@pytest.fixture
def foreign(keyed, keyed_worker):
    """A finished response, a running chat and a document of one tenant, and the key of another one."""
    tenant = keyed.tenant()
    key = keyed.key(tenant)
    document_id = "doc_" + uuid.uuid4().hex
    client = keyed.services.store._client
    fields = {"tenant": tenant, "state": "ready", "job_id": "", "seq": 1, "filename": f"{SECRET}.txt", "kind": "text",
              "size": 1, "sha256": "0", "created_at_ms": 1}  # fmt: skip
    client.hset(keys.document(document_id), mapping=fields)
    client.zadd(keys.documents(tenant), {document_id: 1})
    finished = keyed.call(key, "POST", "/api/v1/chat/async", json={"message": f"{SECRET} them"}).json["job_id"]
    keyed_worker.complete(finished)
    running = keyed.submit(key, f"{SECRET} them")
    keyed_worker.claim(running)
    return {"jobs": [finished, running], "documents": [document_id], "key": key, "tenant": tenant}


def shown(answer):
    """Status and body, without what repeats the request or is new in each answer."""
    body = json.loads(answer.data) if answer.content_type.endswith("json") else answer.data.decode()
    return answer.status_code, {name: body[name] for name in body if name != "instance"} if isinstance(
        body, dict
    ) else body


def test_every_route_with_the_id_of_another_tenant_answers_as_for_an_unknown_id(keyed, foreign):
    """Same status, same body: nothing tells that it exists, and nothing changes."""
    key, other = keyed.key(keyed.tenant()), foreign["key"]
    before = keyed.call(other, "GET", "/api/v1/tasks").json
    unknown = {"job": "job_" + "0" * 32, "doc": "doc_" + "0" * 32}
    for rule in keyed.app.url_map.iter_rules():
        if rule.endpoint in scopes.PUBLIC or not rule.arguments & {
            "job_id", "task_id", "response_id", "completion_id", "document_id"
        }:  # fmt: skip
            continue
        names = foreign["documents"] if "document_id" in rule.arguments else foreign["jobs"]
        for name in names:
            for method in rule.methods - {"HEAD", "OPTIONS"}:
                (argument,) = rule.arguments - {"page"}
                path = rule.rule.replace(f"<id:{argument}>", "{}").replace(f"<{argument}>", "{}")
                path = path.replace("<int:page>", "1")
                body = {} if rule.endpoint in {"chat.create_stream_token", "documents.change_document"} else None
                answers = [
                    shown(keyed.call(key, method, path.format(value), json=body)) for value in (name, unknown[name[:3]])
                ]
                assert answers[0] == answers[1], (method, path)
                assert answers[0][0] in {404, 501}, (method, path, answers)
    assert keyed.call(other, "GET", "/api/v1/tasks").json == before


def test_ids_of_another_tenant_in_queries_and_bodies_are_unknown(keyed, foreign):
    """In bulk, as the previous response, as an item, as a document, and in waits."""
    key, (finished, running), (document,) = keyed.key(keyed.tenant()), foreign["jobs"], foreign["documents"]
    keyed.services.store._client.set(keys.item(foreign["tenant"], "msg_1"), f"{finished} 0")

    bulk = keyed.call(key, "GET", f"/api/v1/tasks?ids={finished},{running}").json
    assert (bulk["tasks"], bulk["unknown"]) == ([], [finished, running])
    assert keyed.call(key, "GET", "/api/v1/tasks").json["tasks"] == []
    assert keyed.call(key, "GET", "/api/v1/documents").json["documents"] == []
    assert keyed.call(key, "POST", "/api/v1/tasks/retry", json={"status": "cancelled"}).json["matched"] == 0
    for path in (f"/api/v1/chat/jobs/{running}?wait=5", f"/api/v1/tasks/{running}/result?wait=5"):
        assert keyed.call(key, "GET", path).status_code == 404
    for body in (
        {"input": "x", "previous_response_id": finished},
        {"input": [{"type": "item_reference", "id": "msg_1"}]},
        {"input": "x", "documents": [document]},
    ):
        answer = keyed.call(key, "POST", "/v1/responses", json=body | {"background": True})
        assert answer.status_code in {400, 404, 501}, answer.text
    answer = keyed.call(key, "POST", "/api/v1/chat/async", json={"message": "x", "documents": [document]})
    assert answer.json["error"]["code"] in {"document_not_found", "documents_not_installed"}
    assert keyed.call(key, "GET", "/api/v1/tasks").json["tasks"] == []


def test_the_counts_of_a_tenant_are_its_own(keyed, foreign):
    """The administrator sees those of all, and what concerns the whole service."""
    key = keyed.key()
    keyed.submit(key)

    def counts(caller):
        stats = keyed.call(caller, "GET", "/api/v1/queue/stats").json
        return stats["counts"] | {"workers": stats["workers"], "bytes": stats["queued_bytes"] > 0}

    none = dict.fromkeys(("queued", "in_progress", "completed", "incomplete", "failed", "cancelled"), 0)
    assert counts(key) == none | {"queued": 1, "workers": [], "bytes": True}
    assert counts(foreign["key"]) == none | {"completed": 1, "in_progress": 1, "workers": [], "bytes": True}
    assert counts(keyed.key(keyed.tenant())) == none | {"workers": [], "bytes": False}
    assert counts(ADMIN_KEY)["queued"] == counts(ADMIN_KEY)["completed"] == 1


def test_another_callers_resend_finds_and_cancels_nothing(keyed):
    """The same bytes with a retry count, from another tenant and from another key of the same tenant."""
    tenant = keyed.tenant()
    first, same_tenant, other = keyed.key(tenant), keyed.key(tenant), keyed.key(keyed.tenant())
    body = {"model": "m", "input": "the same", "background": True}

    def respond(key, count):
        keyed.call(key, "POST", "/v1/responses", json=body, headers={"x-stainless-retry-count": count})
        return len(keyed.call(key, "GET", "/api/v1/tasks").json["tasks"])

    assert [respond(first, "0"), respond(same_tenant, "1"), respond(other, "1"), respond(first, "1")] == [1, 2, 1, 2]


def answer_of(job_id, text):
    content = [{"type": "output_text", "text": text, "annotations": []}]
    message = {"type": "message", "id": f"msg_{job_id}", "role": "assistant", "status": "completed", "content": content}
    return ResponseAnswer(text=text, model="m", finish_reason="stop", usage=None, body={"output": [message]})


class Tenants:
    """Three tenants, of which one is the default one. Every text that one of them writes contains its name."""

    def __init__(self, keyed, worker, seed):
        self.keyed, self.worker, self.random = keyed, worker, random.Random(seed)
        tenants = ["default", keyed.tenant(), keyed.tenant()]
        self.keys = {tenant: keyed.key(tenant) for tenant in tenants}
        self.jobs = {tenant: [] for tenant in tenants}
        self.items = {tenant: [] for tenant in tenants}
        self.owner = {}
        self.refused = 0

    def step(self):
        """One operation of a random tenant with a random id, which may be stolen."""
        caller = self.random.choice(list(self.keys))
        every = [job_id for own in self.jobs.values() for job_id in own] or ["job_" + "0" * 32]
        job_id = self.random.choice(every)
        weights = {self.submit: 4, self.respond: 2, self.read: 8, self.change: 3, self.lists: 1, self.work: 4}
        operation = self.random.choices(list(weights), list(weights.values()))[0]
        operation(caller, job_id)

    def call(self, caller, method, path, **options):
        answer = self.keyed.call(self.keys[caller], method, path, **options)
        assert answer.status_code < 500, (method, path, answer.text)
        text = answer.text
        for other in self.keys:
            if other != caller:
                assert f"{SECRET} {other}" not in text, (caller, method, path)
        return answer

    def own(self, caller, job_id):
        self.jobs[caller].append(job_id)
        self.owner[job_id] = caller

    def submit(self, caller, _):
        headers = {"Idempotency-Key": str(self.random.randrange(6))} if self.random.random() < 0.3 else {}
        body = {"message": f"{SECRET} {caller} {len(headers) or self.random.random()}"}
        answer = self.call(caller, "POST", "/api/v1/chat/async", json=body, headers=headers)
        if answer.status_code == 202:
            job_id = answer.json["job_id"]
            assert self.owner.get(job_id, caller) == caller
            if job_id not in self.owner:
                self.own(caller, job_id)

    def respond(self, caller, job_id):
        body = {"input": f"{SECRET} {caller}", "background": True}
        if self.random.random() < 0.5:
            body["previous_response_id"] = job_id
        elif (stolen := [item for own in self.items.values() for item in own]) and self.random.random() < 0.5:
            body["input"] = [{"type": "item_reference", "id": self.random.choice(stolen)}]
        headers = {"x-stainless-retry-count": str(self.random.randrange(3))}
        answer = self.call(caller, "POST", "/v1/responses", json=body, headers=headers)
        if "previous_response_id" in body and self.owner.get(job_id) != caller:
            assert answer.status_code == 400
            self.refused += 1
        elif answer.status_code == 200:
            found = answer.json["id"]
            assert self.owner.get(found, caller) == caller
            if found not in self.owner:
                self.own(caller, found)
                stored = self.keyed.services.store._client.get(keys.request(found)).decode()
                assert all(f"{SECRET} {other}" not in stored for other in self.keys if other != caller)

    def read(self, caller, job_id):
        path = self.random.choice(READS)
        answer = self.call(caller, "GET", path.format(job_id))
        if self.owner.get(job_id) != caller:
            assert answer.status_code == 404
            self.refused += 1
        elif path == "/v1/responses/{}" and answer.status_code == 200:
            self.items[caller] += [item["id"] for item in answer.json["output"]]

    def change(self, caller, job_id):
        method, path = self.random.choice(
            (("POST", "/api/v1/tasks/{}/cancel"), ("POST", "/api/v1/tasks/{}/retry"), ("DELETE", "/api/v1/tasks/{}"),
             ("POST", "/v1/responses/{}/cancel"), ("DELETE", "/v1/responses/{}"))
        )  # fmt: skip
        before = self.record(job_id)
        answer = self.call(caller, method, path.format(job_id))
        if self.owner.get(job_id) != caller:
            assert answer.status_code == 404
            assert self.record(job_id) == before
            self.refused += 1
        elif method == "DELETE" and answer.status_code < 300:
            self.jobs[caller].remove(job_id)
            del self.owner[job_id]
        elif path.endswith("retry") and answer.status_code == 202 and answer.json["task_id"] not in self.owner:
            self.own(caller, answer.json["task_id"])

    def lists(self, caller, _):
        ids = list(self.owner)[-50:]
        bulk = self.call(caller, "GET", f"/api/v1/tasks?ids={','.join(ids)}").json["tasks"] if ids else []
        assert {task["task_id"] for task in bulk} == {job_id for job_id in ids if self.owner[job_id] == caller}
        listed, cursor = [], ""
        while cursor is not None:
            page = self.call(caller, "GET", f"/api/v1/tasks?limit=50{cursor and f'&cursor={cursor}'}").json
            listed += [task["task_id"] for task in page["tasks"]]
            cursor = page["next_cursor"]
        assert sorted(listed) == sorted(self.jobs[caller])
        counts = self.call(caller, "GET", "/api/v1/queue/stats").json["counts"]
        assert sum(counts.values()) == len(self.jobs[caller])

    def work(self, _caller, job_id):
        """A worker does a job, or fails it."""
        if self.record(job_id).get(b"state") == b"queued" and not self.record(job_id).get(b"retry_at_ms"):
            owner, client = self.owner[job_id], self.keyed.services.store._client
            if job_id.startswith("resp"):
                self.worker.complete(job_id, answer_of(job_id, f"{SECRET} {owner}"))
            elif self.random.random() < 0.5:
                self.worker.fail(job_id)
            else:
                self.worker.complete(job_id)
            assert client.hget(keys.job(job_id), "tenant") == owner.encode()

    def record(self, job_id):
        return self.keyed.services.store._client.hgetall(keys.job(job_id))


def test_no_tenant_reaches_anything_of_another_by_random_operations_with_stolen_ids(keyed, keyed_worker):
    """CHATQUEUE_TEST_OPERATIONS sets their number, CHATQUEUE_TEST_SEED repeats a run."""
    seed = int(os.environ.get("CHATQUEUE_TEST_SEED", random.randrange(10**9)))
    tenants = Tenants(keyed, keyed_worker, seed)

    for number in range(OPERATIONS):
        try:
            tenants.step()
        except AssertionError as error:
            raise AssertionError(f"operation {number} of CHATQUEUE_TEST_SEED={seed}") from error

    for caller in tenants.keys:
        tenants.lists(caller, "")
    assert tenants.refused > OPERATIONS / 10
