"""Retries of tasks over HTTP: one at a time or in bulk, each once."""

from jobs import lookup


def test_a_failed_task_is_retried_as_one_new_task(api_client, submit_chat, fake_worker):
    """Repeated calls return the same new task, and the old one stays failed."""
    job_id = submit_chat()
    fake_worker.fail(job_id)

    first = api_client.post(f"/api/v1/tasks/{job_id}/retry")
    second = api_client.post(f"/api/v1/tasks/{job_id}/retry")
    old = api_client.get(f"/api/v1/tasks/{job_id}").json

    assert (first.status_code, first.json["status"], first.json["retry_of"]) == (202, "queued", job_id)
    assert first.headers["Location"] == f"/api/v1/tasks/{first.json['task_id']}"
    assert second.json["task_id"] == first.json["task_id"]
    assert second.headers["Idempotency-Replayed"] == "true"
    assert (old["status"], old["retried_as"]) == ("failed", first.json["task_id"])


def test_only_unsuccessful_final_tasks_are_retried(api_client, submit_chat, fake_worker, read_problem):
    """A task that is queued, running or completed is a 422."""
    queued, completed = submit_chat(), submit_chat()
    fake_worker.complete(completed)

    for job_id in (queued, completed):
        read_problem(api_client.post(f"/api/v1/tasks/{job_id}/retry"), 422, "not_retryable")


def test_a_task_lists_its_failed_attempts(api_client, fake_worker, submit_chat):
    """Each has a code, a time and a message, and no prompt."""
    job_id = submit_chat("a-canary")
    fake_worker.release_for_retry(job_id, 60)

    (failed,) = api_client.get(f"/api/v1/tasks/{job_id}").json["failed_attempts"]
    assert (failed["attempt"], failed["code"]) == (1, "provider_timeout")
    assert "canary" not in failed["message"]


def test_many_failed_tasks_are_retried_once_each(api_client, fake_worker, submit_chat):
    """A dry run only counts, and a second call finds nothing left to retry."""
    failed = [submit_chat() for _ in range(3)]
    for job_id in failed:
        fake_worker.fail(job_id)
    submit_chat()

    def retry(**body):
        response = api_client.post("/api/v1/tasks/retry", json=body)
        assert response.status_code == 200, response.text
        return response.json

    assert retry(dry_run=True) == {"matched": 3, "has_more": False, "dry_run": True, "retried": []}
    assert retry(error_code="another")["matched"] == 0
    first = retry(limit=2, error_code="provider_timeout")
    assert (first["matched"], first["has_more"]) == (2, True)
    second = retry()
    assert (second["matched"], second["has_more"]) == (1, False)
    assert retry()["matched"] == 0
    done = {task["task_id"]: task["retried_as"] for task in first["retried"] + second["retried"]}
    assert set(done) == set(failed)
    for task_id, retried_as in done.items():
        assert api_client.get(f"/api/v1/tasks/{task_id}").json["retried_as"] == retried_as
        assert api_client.get(f"/api/v1/tasks/{retried_as}").json["retry_of"] == task_id


def test_a_retry_filter_is_validated(api_client, read_problem):
    """Unknown fields and values out of range are a 422."""
    for body in ({"status": "completed"}, {"limit": 0}, {"limit": 1_001}, {"surplus": 1}, {"dry_run": "yes"}):
        read_problem(api_client.post("/api/v1/tasks/retry", json=body), 422, "invalid_request")


def test_a_task_deleted_during_a_bulk_retry_is_skipped(api_client, fake_worker, submit_chat, monkeypatch):
    """The other tasks are retried and reported."""
    remaining, deleted = submit_chat(), submit_chat()
    for job_id in (remaining, deleted):
        fake_worker.fail(job_id)
    listed = lookup.retryable

    def listed_then_deleted(*args):
        found = listed(*args)
        api_client.delete(f"/api/v1/tasks/{deleted}")
        return found

    monkeypatch.setattr(lookup, "retryable", listed_then_deleted)
    report = api_client.post("/api/v1/tasks/retry", json={}).json
    assert [task["task_id"] for task in report["retried"]] == [remaining]
