"""Tokens of streams: for one job, for reading it, for a while, and as long as the key that made them."""

import re
import time

import pytest

from jobs import access
from jobs.api_keys import Role, Scope
from tests.api.access.conftest import ADMIN_KEY
from tests.api.access.test_door import public_id


@pytest.fixture
def make_token(keyed):
    def make(key, job_id, **body):
        answer = keyed.call(key, "POST", f"/api/v1/chat/jobs/{job_id}/token", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json["token"]

    return make


def test_a_token_opens_one_job_for_reading_only(keyed, keyed_worker, make_token):
    """Not another job of the same tenant, no other view, and nothing that changes the job."""
    key = keyed.key(keyed.tenant())
    job_id, other = keyed.submit(key), keyed.submit(key)
    keyed_worker.complete(job_id)
    token = make_token(key, job_id)

    def status(path, method="GET", **options):
        return keyed.call(None, method, path, **options).status_code

    assert status(f"/api/v1/chat/jobs/{job_id}?token={token}") == 200
    events = keyed.call(None, "GET", f"/api/v1/chat/jobs/{job_id}/events?token={token}")
    assert "event: completed" in events.text
    assert status(f"/api/v1/chat/jobs/{other}/events?token={token}") == 401
    assert status(f"/api/v1/tasks/{job_id}?token={token}") == 401
    assert status(f"/api/v1/chat/jobs/{job_id}/token?token={token}", "POST", json={}) == 401
    assert status(f"/api/v1/tasks/{job_id}?token={token}", "DELETE") == 401
    assert status(f"/api/v1/tasks/{job_id}", headers={"Authorization": f"Bearer {token}"}) == 401


def test_a_token_that_was_changed_or_has_expired_is_refused(keyed, make_token, monkeypatch):
    """Each part of it is signed."""
    key = keyed.key(keyed.tenant())
    job_id = keyed.submit(key)
    token = make_token(key, job_id, ttl_seconds=60)
    parts = token.split(".")

    def status(sent):
        return keyed.call(None, "GET", f"/api/v1/chat/jobs/{job_id}?token={sent}").status_code

    assert status(token) == 202
    changed = [*([*parts[:i], "default", *parts[i + 1 :]] for i in range(4)), parts[:3], [], ["9" * 12, *parts[1:]]]
    assert {status(".".join(forged)) for forged in changed} == {401}
    assert {status(sent) for sent in ("é", "%F0%9F", "....", "x.y.z.w", "9" * 5_000)} == {401}
    monkeypatch.setattr(time, "time", lambda: int(parts[0]) + 1)
    assert status(token) == 401


def test_a_token_ends_with_its_key(keyed, make_token):
    """One made with the administrator's key stays."""
    tenant = keyed.tenant()
    key = keyed.key(tenant)
    job_id = keyed.submit(key)
    token = make_token(key, job_id)
    path = f"/api/v1/chat/jobs/{job_id}?token="
    assert keyed.call(None, "GET", path + token).status_code == 202

    access.revoke_key(keyed.services.store, public_id(key))
    keyed.forget_checked_keys()
    assert keyed.call(None, "GET", path + token).status_code == 401
    answer = keyed.call(
        ADMIN_KEY, "POST", f"/api/v1/chat/jobs/{job_id}/token", json={}, headers={"OpenAI-Project": tenant}
    )
    assert keyed.call(None, "GET", path + answer.json["token"]).status_code == 202


def test_only_who_may_read_a_job_makes_a_token_for_it(keyed):
    """Not another tenant, and not a key that may only submit."""
    tenant = keyed.tenant()
    job_id = keyed.submit(keyed.key(tenant))
    path = f"/api/v1/chat/jobs/{job_id}/token"

    assert keyed.call(keyed.key(keyed.tenant()), "POST", path, json={}).status_code == 404
    assert keyed.call(keyed.key(tenant, Role.MEMBER, Scope.SUBMIT), "POST", path, json={}).status_code == 403
    assert keyed.call(keyed.key(tenant), "POST", path, json={"ttl_seconds": 3_601}).status_code == 422


def test_no_log_line_contains_a_token(keyed, make_token, caplog):
    """Also when a request with it fails."""
    key = keyed.key()
    job_id = keyed.submit(key)
    token = make_token(key, job_id)
    with caplog.at_level("DEBUG"):
        for path in (f"/api/v1/chat/jobs/{job_id}", f"/api/v1/chat/jobs/{job_id}/events", "/api/v1/tasks", "/x"):
            keyed.call(None, "GET", f"{path}?token={token}x")

    assert not re.search(re.escape(token[-20:]), caplog.text)


def test_a_service_without_keys_makes_tokens_that_nobody_needs(api_client, submit_chat):
    """A page works with both kinds of service."""
    path = f"/api/v1/chat/jobs/{submit_chat()}"
    token = api_client.post(f"{path}/token", json={}).json["token"]

    assert api_client.get(f"{path}?token={token}").status_code == api_client.get(path).status_code == 202
