"""The door: which requests need a key, and which keys open it."""

import json
import re
import uuid

import pytest

from api.http import scopes
from jobs import access
from jobs.api_keys import NewKey, Role, Scope, digest_of, key_id_of
from jobs.storage import keys
from tests.api.access.conftest import ADMIN_KEY

CHATS = "/api/v1/chat/async"
TASKS = "/api/v1/tasks"
BODIES = {"chat.answer_chat": {"message": "hi"}, "chat.accept_chat": {"message": "hi"},
          "tasks.accept_task": {"kind": "chat", "message": "hi"}, "tasks.retry_tasks": {},
          "completions.create_completion": {"messages": [{"role": "user", "content": "hi"}]},
          "text_completions.create_text_completion": {"prompt": "hi"}, "embeddings.create_embeddings": {"input": "hi"},
          "responses.create_response": {"input": "hi", "background": True},
          "compaction.compact_conversation": {"model": "m", "input": "hi"}}  # fmt: skip
IDS = {
    "page": "1",
    "document_id": "doc_" + "0" * 32,
    "key_id": "0" * 12,
    "tenant": "proj_x",
    "name": "m",
    "filename": "x",
}


def public_id(key):
    key_id = key_id_of(key)
    assert key_id is not None
    return key_id


def routes(app):
    """Each endpoint with its method and a path that exists."""
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<(?:\w+:)?(\w+)>", lambda found: IDS.get(found[1], "job_" + "0" * 32), rule.rule)
        for method in rule.methods - {"HEAD", "OPTIONS"}:
            yield rule.endpoint, method, path


def without_place(response):
    """The body of a problem, except for the path of the request."""
    return {name: value for name, value in json.loads(response.data).items() if name != "instance"}


@pytest.fixture
def refusal(keyed):
    """The answer to a request without a key."""
    return keyed.call(None, "GET", TASKS)


def test_every_route_needs_a_key_except_for_health_and_documentation(keyed, refusal):
    """Also a path that does not exist, and every method: a new view is closed until it is listed."""
    assert refusal.status_code == 401
    open_routes = set()
    found = [*routes(keyed.app), (None, "GET", "/nothing"), (None, "PUT", TASKS), (None, "OPTIONS", TASKS)]
    for endpoint, method, path in found:
        answer = keyed.call(None, method, path, json=BODIES.get(endpoint))
        if endpoint in scopes.PUBLIC:
            assert answer.status_code != 401, path
            open_routes.add(endpoint)
            continue
        assert answer.status_code == 401, (method, path)
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="chatqueue"'
        assert without_place(answer) == without_place(refusal)
    assert open_routes == scopes.PUBLIC
    assert keyed.services.store._client.keys("cq:job:*") == []


def test_each_view_of_callers_is_listed_with_its_scope(keyed):
    """What is not listed needs the administrator, which must be intended."""
    unlisted = {name for name, _, _ in routes(keyed.app)} - scopes.PUBLIC - set(scopes.SCOPES)

    assert {name.partition(".")[0] for name in unlisted} == {"tenants", "keys"}
    assert set(scopes.SCOPES) <= {name for name, _, _ in routes(keyed.app)}


def mistyped(key):
    return key[:-1] + ("a" if key[-1] != "a" else "b")


def revoked(keyed):
    key = keyed.key()
    access.revoke_key(keyed.services.store, public_id(key))
    return key


def expired(keyed):
    key = keyed.key(seconds=60)
    keyed.services.store._client.hset(keys.api_key(public_id(key)), "expires_at_ms", 1)
    return key


def damaged(keyed):
    key = keyed.key()
    keyed.services.store._client.hset(keys.api_key(public_id(key)), "role", "emperor")
    return key


WRONG_KEYS = {
    "nonsense": lambda _: "nonsense",
    "of another environment": lambda _: NewKey.make().text,
    "truncated": lambda keyed: keyed.key()[:-1],
    "mistyped": lambda keyed: mistyped(keyed.key()),
    "longer": lambda keyed: keyed.key() + "x",
    "another secret": lambda keyed: same_id_with_another_secret(keyed.key()),
    "revoked": revoked,
    "expired": expired,
    "of a role that nobody knows": damaged,
    "administrator's, truncated": lambda _: ADMIN_KEY[:-1],
    "empty": lambda _: "",
    "very long": lambda _: "sk-cq-" + "x" * 5_000,
    "not ASCII": lambda _: "sk-cq-ä",
}


def same_id_with_another_secret(key):
    """Well-formed: only its digest is another one."""
    from jobs.api_keys import _checksum

    key_id, secret = public_id(key), "x" * 43
    return f"sk-cq-{key_id}-{secret}{_checksum(key_id + secret)}"


@pytest.mark.parametrize("path", [TASKS, "/v1/responses/resp_1"])
@pytest.mark.parametrize("kind", WRONG_KEYS)
def test_every_kind_of_wrong_key_gets_the_same_answer(keyed, refusal, kind, path):
    """The answer does not tell which keys exist."""
    answer = keyed.call(WRONG_KEYS[kind](keyed), "GET", path)

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == refusal.headers["WWW-Authenticate"]
    assert without_place(answer) == without_place(refusal)
    assert answer.json["error"]["code"] == "invalid_api_key"
    assert answer.json["error"]["type"] == "invalid_request_error"


def test_a_key_in_the_url_is_refused_even_with_a_valid_header(keyed):
    """It may be in the log of a proxy by now."""
    key = keyed.key()

    assert keyed.call(key, "GET", TASKS).status_code == 200
    for path in (f"{TASKS}?api_key={key}", f"{TASKS}?cursor={key}", f"{TASKS}?token={key}"):
        assert keyed.call(None, "GET", path).status_code == keyed.call(key, "GET", path).status_code == 401


def test_other_schemes_than_bearer_are_no_key(keyed):
    """The name of the scheme may have any case."""
    key = keyed.key()

    for header, status in ((f"bearer {key}", 200), (f"BEARER  {key}", 200), (f"Basic {key}", 401), (key, 401)):
        assert keyed.call(None, "GET", TASKS, headers={"Authorization": header}).status_code == status, header


def test_a_read_only_key_can_change_nothing(keyed):
    """Every route that may change something refuses it, and nothing is made."""
    key, admin_only = keyed.key(role=Role.READ), {"tenants", "keys", "providers", "metrics"}
    for endpoint, method, path in routes(keyed.app):
        if endpoint in scopes.PUBLIC:
            continue
        status = keyed.call(key, method, path, json=BODIES.get(endpoint)).status_code
        is_read = method == "GET" and endpoint.partition(".")[0] not in admin_only
        assert (status == 403) is not is_read or endpoint == "chat.create_stream_token", (endpoint, status)
        assert status != 401
    assert keyed.services.store._client.keys("cq:job:*") == []


@pytest.mark.parametrize("scope", [scope for scope in Scope if scope is not Scope.ADMIN])
def test_a_key_does_what_its_scopes_allow(keyed, scope):
    """A key of one scope passes the door of exactly the views of that scope."""
    key = keyed.key(keyed.tenant(), Role.ADMIN, scope)
    for endpoint, method, path in routes(keyed.app):
        if endpoint not in scopes.PUBLIC:
            answer = keyed.call(key, method, path)  # without a body: what passes the door is refused later
            assert (answer.status_code == 403) is (scopes.needed_scope(endpoint) is not scope), (endpoint, answer.text)


def test_a_chat_about_documents_needs_their_scope(keyed):
    """The answer would quote them."""
    key = keyed.key(keyed.tenant(), Role.MEMBER, Scope.SUBMIT)

    for path, body in ((CHATS, {"message": "?", "documents": "all"}),
                       ("/v1/responses", {"input": "?", "documents": "all"})):  # fmt: skip
        assert keyed.call(key, "POST", path, json=body).status_code == 403


def test_only_some_roles_act_for_the_tenant_in_openai_project(keyed):
    """A member must name its own tenant or none."""
    own, other = keyed.tenant(), keyed.tenant()
    cases = [(keyed.key(own), own, 200), (keyed.key(own), other, 403), (keyed.key(own, Role.SERVICE), other, 200),
             (ADMIN_KEY, other, 200), (ADMIN_KEY, "proj_unknown", 404), (keyed.key(own, Role.SERVICE), "a:b", 403),
             (keyed.key(own, Role.SERVICE), "proj_unknown", 404)]  # fmt: skip
    job_id = keyed.submit(keyed.key(other))

    for key, project, status in cases:
        answer = keyed.call(key, "GET", TASKS, headers={"OpenAI-Project": project})
        assert answer.status_code == status
        if status == 200:
            assert [task["task_id"] for task in answer.json["tasks"]] == ([job_id] if project == other else [])


def test_a_wiped_redis_opens_nothing(keyed):
    """Whether keys are needed depends on the settings alone."""
    key = keyed.key()
    keyed.submit(key)
    keyed.services.store._client.flushall()
    keyed.forget_checked_keys()

    assert keyed.call(key, "GET", TASKS).status_code == keyed.call(None, "GET", TASKS).status_code == 401
    assert keyed.call(ADMIN_KEY, "GET", TASKS).json["tasks"] == []


def test_without_redis_no_key_is_valid(make_api, keyed, silent_port):
    """The answer is 503, never an open door; the liveness probe works."""
    key, app = keyed.key(), make_api(silent_port, admin_key=ADMIN_KEY)
    client = app.test_client()

    for sent, status in (({"Authorization": f"Bearer {key}"}, 503), ({}, 401)):
        assert client.post(CHATS, json={"message": "hi"}, headers=sent).status_code == status
    assert client.get("/health/live").status_code == 200


def test_an_archived_tenant_is_403_and_its_queue_is_cancelled(keyed):
    """Others go on. Its keys cannot be used, and it gets no new ones."""
    tenant = keyed.tenant()
    key, other = keyed.key(tenant), keyed.key(keyed.tenant())
    queued, kept = keyed.submit(key), keyed.submit(other)

    path = f"/api/v1/tenants/{tenant}/archive"
    assert keyed.call(ADMIN_KEY, "POST", path).json["archived_at"]
    assert keyed.call(ADMIN_KEY, "POST", path).status_code == 200
    keyed.forget_checked_keys()
    answer = keyed.call(key, "GET", TASKS)
    assert (answer.status_code, answer.json["error"]["code"]) == (403, "tenant_archived")
    client = keyed.services.store._client
    assert [client.hget(keys.job(job_id), "state") for job_id in (queued, kept)] == [b"cancelled", b"queued"]
    assert keyed.call(ADMIN_KEY, "POST", "/api/v1/keys", json={"tenant": tenant}).status_code == 403


def test_many_wrong_keys_from_one_address_are_429_and_counted(make_api, keyed, api_redis_port):
    """A valid key works nevertheless: many callers may share an address."""
    app = make_api(api_redis_port, admin_key=ADMIN_KEY, auth_failures_per_minute=3)
    client, key = app.test_client(), keyed.key()

    def get(sent, **environ):
        return client.get(TASKS, headers={"Authorization": f"Bearer {sent}"}, environ_overrides=environ)

    statuses = [get(NewKey.make().text).status_code for _ in range(5)]
    assert statuses == [401, 401, 401, 429, 429]
    assert int(get("x").headers["Retry-After"]) == 60
    assert get("x", REMOTE_ADDR="10.0.0.1").status_code == 401
    assert get(key).status_code == 200
    assert keyed.services.store._client.hget(keys.TOTALS, "auth_failures") == b"7"


def test_neither_redis_nor_a_log_contains_a_key(keyed, caplog):
    """What is stored is the SHA-256."""
    made = [keyed.call(ADMIN_KEY, "POST", "/api/v1/keys", json={"name": "n"}).json["value"], keyed.key()]
    with caplog.at_level("DEBUG"):
        for key in (*made, ADMIN_KEY, f"{made[0]}x"):
            keyed.call(key, "POST", CHATS, json={"message": "hi"})
    stored = keyed.services.store._client
    dump = b"".join(stored.dump(name) or b"" for name in stored.keys("*")) + caplog.text.encode()

    secrets = [key.rpartition("-")[2].encode() for key in made]
    assert [secret for secret in (*secrets, ADMIN_KEY.encode()) if secret in dump] == []
    assert digest_of(made[0]).encode() in stored.hget(keys.api_key(public_id(made[0])), "sha256")
    assert ADMIN_KEY not in repr(keyed.services)


def test_without_an_admin_key_every_key_is_ignored_and_none_is_made(api_client):
    """A service without keys works as before: clients send any text as a key."""
    assert api_client.get(TASKS, headers={"Authorization": "Bearer anything"}).status_code == 200
    assert api_client.get(TASKS).status_code == 200
    for method, path in (("POST", "/api/v1/keys"), ("GET", "/api/v1/keys"), ("POST", "/api/v1/tenants")):
        assert api_client.open(path, method=method, json={} if method == "POST" else None).status_code == 403


def test_a_rotated_key_has_the_same_rights_and_finds_its_resends(keyed):
    """Both keys work until the overlap ends. To other callers it is the same caller."""
    tenant = keyed.tenant()
    old, other = keyed.key(tenant, Role.MEMBER, Scope.SUBMIT, Scope.READ), keyed.key(tenant)
    answer = keyed.call(ADMIN_KEY, "POST", f"/api/v1/keys/{public_id(old)}/rotate", json={"overlap_seconds": 60})
    new = answer.json["value"]
    assert answer.json["scopes"] == ["submit", "read"]
    body = {"model": "m", "input": f"{uuid.uuid4()}", "background": True}

    def jobs_after(key, count):
        headers = {"x-stainless-retry-count": count}
        answer = keyed.call(
            key, "POST", "/v1/responses", json=body, headers=headers
        )  # not read: it is not answered yet
        assert answer.status_code == 200
        return len(keyed.call(new, "GET", TASKS).json["tasks"])

    assert [jobs_after(old, "0"), jobs_after(other, "1"), jobs_after(new, "1")] == [1, 2, 2]
    keyed.services.store._client.hset(keys.api_key(public_id(old)), "expires_at_ms", 1)
    keyed.forget_checked_keys()
    assert [keyed.call(key, "GET", TASKS).status_code for key in (old, new)] == [401, 200]
    path = f"/api/v1/keys/{public_id(old)}/rotate"
    assert keyed.call(ADMIN_KEY, "POST", path, json={}).status_code == 404


def test_the_use_of_a_key_is_recorded_and_its_text_is_shown_once(keyed):
    """Lists show what the key is for, and when it was last used."""
    tenant = keyed.tenant()
    made = keyed.call(ADMIN_KEY, "POST", "/api/v1/keys", json={"tenant": tenant, "name": "page", "role": "read"}).json
    keyed.call(made["value"], "GET", TASKS)
    (listed,) = keyed.call(ADMIN_KEY, "GET", f"/api/v1/keys?tenant={tenant}").json["keys"]

    assert "value" not in listed
    assert listed == {name: value for name, value in made.items() if name != "value"} | {
        "last_used_at": listed["last_used_at"]
    }
    assert listed["last_used_at"] is not None
    assert listed["redacted_value"] in made["value"].replace(made["value"][18:], "-...")


@pytest.mark.parametrize(
    ("body", "status"),
    [({"tenant": "proj_none"}, 404), ({"tenant": "a b"}, 422), ({"role": "emperor"}, 422), ({"scopes": ["x"]}, 422),
     ({"lifetime_seconds": 0}, 422), ({"lifetime_seconds": 1e30}, 422), ({"name": "x" * 201}, 422), ({"x": 1}, 422)],
)  # fmt: skip
def test_a_key_that_makes_no_sense_is_refused(keyed, body, status):
    """With the field that is wrong; nothing is stored."""
    assert keyed.call(ADMIN_KEY, "POST", "/api/v1/keys", json=body).status_code == status
    assert keyed.services.store._client.keys("cq:api-key:*") == []
