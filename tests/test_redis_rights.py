"""The rights of the two Redis users in docs/operations.md are enough for everything that web and workers do."""

import json
import signal
import urllib.request

import pytest
import redis

pytest.importorskip("lancedb", reason="documents need the extra chatqueue[documents]", exc_type=ImportError)

from tests.chaos.redis_server import RedisServer
from tests.documents import in_process
from tests.support.redis_rights import documented_users
from tests.support.remote_control import revoke, stock_client
from tests.support.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.processes, pytest.mark.timeout(300)]

# Whether they are used depends on replicas, the durability, the database, whether Redis has lost whose turn it is,
# whether Celery's remote control has to wait for a reply, whether two equal calls wait for one job, and on the broker.
MAY_BE_UNUSED = {"wait", "waitaof", "select", "zunionstore", "brpop", "lpop", "pubsub|numsub"}


@pytest.fixture
def server(tmp_path):
    server = RedisServer(tmp_path / "redis")
    server.start()
    yield server
    server.end()


@pytest.fixture
def admin(server):
    """An administrator, who has created the documented users."""
    with redis.Redis.from_url(server.url, decode_responses=True) as admin:
        for name, rules in documented_users().items():
            admin.execute_command("ACL", "SETUSER", name, "reset", *rules)
        yield admin


@pytest.fixture
def url_of(server):
    return lambda name: server.url.replace("://", f"://{name}:p@")


@pytest.fixture
def env(server, model_url, tmp_path):
    return in_process.environment(server.url, model_url, tmp_path / "data")


class Caller:
    """Makes the calls of a client, and waits for their outcome."""

    def __init__(self, client):
        self.client = client

    def submit(self, message, **headers):
        status, job = self.client.call("POST", "/tasks", {"kind": "chat", "message": message}, **headers)
        assert status == 202, job
        return job["task_id"]

    def status(self, task_id, wait=0):
        return self.client.call("GET", f"/tasks/{task_id}?wait={wait}")[1]["status"]

    def run(self, message, **headers):
        task_id = self.submit(message, **headers)
        assert self.status(task_id, 30) == "completed"
        return task_id

    def start(self, message):
        """Submit a job and wait until it runs."""
        task_id = self.submit(message)
        until(lambda: self.status(task_id) == "in_progress")
        return task_id

    def complete(self, **headers):
        """A call of an openai client."""
        body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}]}).encode()
        url = self.client.url.replace("/api/v1", "/v1/chat/completions")
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(url, body, {"Content-Type": "application/json", **headers})
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)["choices"]


def test_two_users_with_the_documented_rights_can_do_everything(admin, env, url_of):
    """Redis has refused nothing in the end, and no right is listed that nothing needs."""
    web_env, worker_env = (env | {"REDIS_URL": url_of(f"chatqueue-{name}")} for name in ("web", "worker"))
    with in_process.web(web_env) as client:
        caller = Caller(client)
        with in_process.worker(worker_env) as worker:
            use_jobs(caller)
            use_documents(client)
            use_remote_control(caller, url_of("chatqueue-worker"))
            lost = caller.start("[[offline delay=4 say=x]]")
            worker.send(signal.SIGKILL)
        with in_process.worker(worker_env, "-P", "prefork", "-c", "2"):
            assert caller.status(lost, 40) == "completed"

    assert refusals(admin) == []
    used = {name.removeprefix("cmdstat_") for name in admin.info("commandstats")}
    listed = {rule[1:] for rules in documented_users().values() for rule in rules if rule.startswith("+")}
    assert listed - used <= MAY_BE_UNUSED


def refusals(admin):
    return [(entry["username"], entry["reason"], entry["object"]) for entry in admin.acl_log()]


def use_jobs(caller):
    call = caller.client.call
    assert caller.run("hello", Idempotency_Key="k") == caller.submit("hello", Idempotency_Key="k")
    assert caller.client.stream({"message": "hello"})[-1]["type"] == "completed"
    for count in "012":
        assert caller.complete(X_Stainless_Retry_Count=count)
    caller.run("[[offline status=429 retry_after=1 times=1]]")
    running = caller.start("[[offline delay=30]]")
    assert call("POST", f"/tasks/{running}/cancel")[0] == 200
    assert call("POST", f"/tasks/{running}/retry")[0] == 202
    assert call("POST", "/tasks/retry", {"status": "cancelled"})[0] == 200
    assert call("DELETE", f"/tasks/{running}")[0] == 204
    for path in ("/tasks", "/tasks?status=completed", "/queue/stats"):
        assert call("GET", path)[0] == 200


def use_documents(client):
    document_id = client.upload_and_ingest(b"The anchor weighs two tons.", "a.txt")
    assert client.ask("How heavy is the anchor?", [document_id])[0] == 200
    assert client.ask("How heavy is the anchor?")[0] == 200
    assert client.call("GET", "/documents")[0] == 200
    assert client.call("DELETE", f"/documents/{document_id}")[0] == 202
    until(lambda: client.call("GET", f"/documents/{document_id}")[0] == 404, 60)


def use_remote_control(caller, worker_url):
    running = caller.start("[[offline delay=30]]")
    with stock_client(worker_url) as control:
        assert control.control.inspect(timeout=10).ping()
        assert "ok" in revoke(control, running)
    assert caller.status(running, 10) == "cancelled"
