"""The progress and outcome of an ingest: accepted from the owner job only, and shown on the task too."""

import pytest

from jobs.results import JobError
from jobs.storage import transitions
from tests.api.documents.sending import PATH, mark_ready, send

pytest.importorskip("lancedb", reason="documents need the extra chatqueue[documents]", exc_type=ImportError)


def test_a_task_shows_the_progress_of_its_ingest(client, fake_worker):
    """Each step changes the ETag, and a final task shows no progress."""
    document = send(client).json["document"]
    document_id, task_id = document["document_id"], document["task_id"]
    path = f"/api/v1/tasks/{task_id}"
    run = fake_worker.store.run
    fake_worker.claim(task_id)
    before = client.get(path)
    assert run(transitions.document.record_progress(document_id, task_id, 1, 3))
    after = client.get(path, headers={"If-None-Match": before.headers["ETag"]})

    assert before.json["progress"] is None
    assert after.json["progress"] == {"pages_done": 1, "pages": 3}
    for listed in (client.get(f"/api/v1/tasks?ids={task_id}"), client.get("/api/v1/tasks")):
        assert listed.json["tasks"][0]["progress"] == {"pages_done": 1, "pages": 3}
    fake_worker.cancel(task_id)
    assert run(transitions.document.record_progress(document_id, task_id, 2, 3))
    assert client.get(path).json["progress"] == {"pages_done": 1, "pages": 3}


def test_the_next_attempt_restarts_the_progress(client, fake_worker):
    """The progress of a failed attempt is not carried over."""
    document = send(client).json["document"]
    document_id, task_id = document["document_id"], document["task_id"]
    fake_worker.claim(task_id)
    fake_worker.store.run(transitions.document.record_progress(document_id, task_id, 2, 3))

    assert fake_worker.store.run(transitions.document.start(document_id, task_id)) == "started"
    assert client.get(f"/api/v1/tasks/{task_id}").json["progress"] is None
    mark_ready(fake_worker, document_id, task_id)
    assert client.get(f"/api/v1/tasks/{task_id}").json["progress"] == {"pages_done": 3, "pages": 3}


def test_only_the_owner_job_writes_to_the_document(client, fake_worker):
    """A cancelled job that was replaced by another can no longer change the document."""
    document = send(client).json["document"]
    run, document_id, old = fake_worker.store.run, document["document_id"], document["task_id"]

    assert run(transitions.document.reassign(document_id, old, "job_new")) == "job_new"
    assert run(transitions.document.reassign(document_id, old, "job_newer")) == "job_new"
    assert run(transitions.document.start(document_id, old)) == "not_owner"
    assert not run(transitions.document.record_progress(document_id, old, 1, 2))
    assert not run(transitions.document.mark_failed(document_id, old, JobError(code="a", message="b")))
    assert run(transitions.document.record_progress(document_id, "job_new", 1, 2))
    assert client.get(f"{PATH}/{document_id}").json["pages_done"] == 1


def test_a_ready_document_stays_ready(client, fake_worker):
    """Neither a repeated run of its own job nor an earlier job can change it."""
    document = send(client).json["document"]
    run, document_id, task_id = fake_worker.store.run, document["document_id"], document["task_id"]
    mark_ready(fake_worker, document_id, task_id)
    ready = client.get(f"{PATH}/{document_id}").json

    assert run(transitions.document.start(document_id, task_id)) == "ready"
    assert run(transitions.document.start(document_id, "job_older")) == "ready"
    assert run(transitions.document.reassign(document_id, task_id, "job_new")) == task_id
    run(transitions.document.record_progress(document_id, task_id, 1, 2))
    run(transitions.document.mark_failed(document_id, task_id, JobError(code="a", message="b")))
    assert client.get(f"{PATH}/{document_id}").json == ready
    mark_ready(fake_worker, document_id, task_id)  # repeated, with the same outcome
