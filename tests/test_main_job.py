"""The whole system as `make up` runs it: launcher, gunicorn, worker, Redis, offline model and Flower."""

import http.client
import itertools
import json
import re
import urllib.error
import urllib.request
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psutil
import pytest
import redis

from jobs.folders import PROJECT_ROOT
from local.redis_server import machine_memory_bytes
from tests.support.launcher import ALL_UP, COMMAND, environment
from tests.support.offline_model import calls, directive, key
from tests.support.processes import running
from tests.support.waiting import until

CANARY = "canary-77c1"
QUESTIONS = 50


class Api:
    """HTTP calls to the web process, and the addresses of Flower and the offline model."""

    def __init__(self, port: str, flower_port: str, model_port: str, flower_login: str) -> None:
        self._port = int(port)
        self.url = f"http://127.0.0.1:{port}"
        self.flower_url = f"http://127.0.0.1:{flower_port}"
        self.flower_login = {"Authorization": f"Basic {b64encode(flower_login.encode()).decode()}"}
        self.model_url = f"http://127.0.0.1:{model_port}/v1"

    def call(self, method, path, body=None, **headers):
        with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=70)) as connection:
            content = None if body is None else json.dumps(body)
            connection.request(method, path, content, {"Content-Type": "application/json", **headers})
            reply = connection.getresponse()
            return reply.status, json.loads(reply.read() or "null")

    def flower(self, path, method="GET", login=True, **headers):
        """Status, headers and text of a page of Flower."""
        sent = {**(self.flower_login if login else {}), **headers}
        request = urllib.request.Request(self.flower_url + path, method=method, headers=sent)
        try:
            with urllib.request.urlopen(request, timeout=10) as reply:
                return reply.status, reply.headers, reply.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read().decode()


@pytest.fixture(scope="module")
def launched_api(tmp_path_factory, processes):
    """The system started by the launcher: an Api, and the launcher's process."""
    env = environment(tmp_path_factory.mktemp("data"))
    with running(COMMAND, ready=ALL_UP, env=env, seconds=90) as process:
        web, flower, model = (env[f"CHATQUEUE_{name}_PORT"] for name in ("WEB", "FLOWER", "OFFLINE_MODEL"))
        login = re.search(r"Flower .*\(user (\S+), password (\S+)\)", process.output)
        assert login is not None
        yield Api(web, flower, model, ":".join(login.groups())), process


@pytest.fixture
def api(launched_api):
    return launched_api[0]


def readme_questions():
    """The project's README, split into fifty excerpts of about equal length."""
    words = (PROJECT_ROOT / "README.md").read_text().split()
    bounds = [round(number * len(words) / QUESTIONS) for number in range(QUESTIONS + 1)]
    excerpts = [" ".join(words[start:end]) for start, end in itertools.pairwise(bounds)]
    return [f"What does this mean? {excerpt}" for excerpt in excerpts]


def test_fifty_questions_from_the_readme_are_all_answered_and_counted(api):
    """Every job that was submitted asynchronously completes, and the statistics count exactly these jobs."""
    before = api.call("GET", "/api/v1/queue/stats")[1]["totals"]
    submitted = [api.call("POST", "/api/v1/chat/async", {"message": question}) for question in readme_questions()]

    assert [status for status, _ in submitted] == [202] * QUESTIONS
    answers = [api.call("GET", f"/api/v1/chat/jobs/{job['job_id']}?wait=30") for _, job in submitted]
    assert {(status, answer["status"]) for status, answer in answers} == {(200, "completed")}
    assert all("no language model" in answer["answer"] for _, answer in answers)
    after = api.call("GET", "/api/v1/queue/stats")[1]["totals"]
    for count in ("created", "completed"):
        assert after[count] - before.get(count, 0) == QUESTIONS


def test_every_call_of_the_native_api_works(api):
    """Chat, task, status, result, bulk status, list, statistics, health and delete work together on real processes."""
    status, chat = api.call("POST", "/api/v1/chat/sync", {"message": "[[offline say=hello]]"})
    assert (status, chat["answer"], chat["status"]) == (200, "hello", "completed")

    status, task = api.call("POST", "/api/v1/tasks", {"kind": "embeddings", "input": ["a", "b"]})
    assert status == 202
    path = f"/api/v1/tasks/{task['task_id']}"
    until(lambda: api.call("GET", path)[1]["status"] == "completed")
    assert len(api.call("GET", f"{path}/result")[1]["result"]["vectors"]) == 2

    status, many = api.call("GET", f"/api/v1/tasks?ids={chat['job_id']},{task['task_id']},job_{'0' * 32}")
    assert [task_view["task_id"] for task_view in many["tasks"]] == [chat["job_id"], task["task_id"]]
    assert many["unknown"] == [f"job_{'0' * 32}"]
    assert api.call("GET", "/api/v1/tasks?status=completed&limit=1")[1]["next_cursor"]
    assert api.call("GET", "/api/v1/queue/stats")[1]["workers_alive"] == 1
    assert api.call("GET", "/health")[1]["status"] == "ok"
    assert api.call("DELETE", path)[0] == 204
    assert api.call("GET", path)[0] == 404


def test_a_hundred_identical_submits_with_one_key_make_one_job_and_one_call(api):
    """Concurrent retries through several web processes must cost one provider call, by the provider's own count."""
    name = key()
    body = {"message": directive("say=once", name)}

    def submit(_):
        return api.call("POST", "/api/v1/chat/async", body, **{"Idempotency-Key": name})

    with ThreadPoolExecutor(100) as pool:
        replies = list(pool.map(submit, range(100)))
    assert {status for status, _ in replies} == {202}
    (job_id,) = {job["job_id"] for _, job in replies}
    assert api.call("GET", f"/api/v1/chat/jobs/{job_id}?wait=30")[1]["answer"] == "once"
    assert calls(api.model_url, name)["calls"] == 1


def test_flower_lists_the_task_without_its_prompt(api):
    """Operators see task and state in Flower; neither prompt nor answer may appear on any of its pages."""
    _, job = api.call("POST", "/api/v1/chat/sync", {"message": f"[[offline say={CANARY}]] {CANARY}"})

    page = until(lambda: _page_with(api, f"/task/{job['job_id']}", "SUCCESS"))
    assert "chatqueue.run_job" in page
    assert CANARY not in page
    assert CANARY not in api.flower("/tasks")[2]


def test_flowers_button_cancels_a_job_with_the_password_only(api):
    """The launcher prints a random password. Without one Flower would offer buttons that do nothing."""
    _, job = api.call("POST", "/api/v1/chat/async", {"message": "[[offline delay=60]] a"})
    path = f"/api/task/revoke/{job['job_id']}?terminate=true"
    until(lambda: api.call("GET", f"/api/v1/tasks/{job['job_id']}")[1]["status"] == "in_progress")

    assert api.flower(path, "POST", login=False)[0] == 401
    assert api.flower("/tasks", login=False)[0] == 401
    assert api.flower("/healthcheck", login=False)[0] == 200
    assert api.flower(path, "POST")[0] == 200
    until(lambda: api.call("GET", f"/api/v1/tasks/{job['job_id']}")[1]["status"] == "cancelled")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "http://127.0.0.1:1", "Sec-Fetch-Site": "same-site"}, 403),
    ],
)
def test_no_other_sites_page_can_use_flower_even_with_the_users_login(api, headers, status):
    """A browser adds a remembered password to the requests of any page."""
    assert api.flower("/api/task/revoke/job_x", "POST", **headers)[0] == status


def test_flowers_pages_cannot_be_framed(api):
    """A page that frames Flower could make its user click on a button."""
    for path in ("/", "/tasks", "/broker", "/static/css/flower.css", "/unknown"):
        _, headers, _ = api.flower(path)
        assert headers["X-Frame-Options"] == "DENY", path
        assert headers["X-Content-Type-Options"] == "nosniff", path


def test_no_prompt_or_answer_is_in_the_output_of_any_process(launched_api):
    """Web, worker, Flower, Redis and model log no content, whether a job succeeds, fails or is rejected."""
    api, process = launched_api
    api.call("POST", "/api/v1/chat/sync", {"message": f"[[offline say={CANARY}]] {CANARY}"})
    api.call("POST", "/api/v1/chat/sync", {"message": f"[[offline status=400]] {CANARY}"})
    api.call("POST", "/api/v1/chat/sync", {"message": CANARY, "surplus": CANARY})

    assert CANARY not in process.output
    assert re.search(r"^worker .*job_finished", process.output, re.MULTILINE)


def test_a_request_can_be_followed_from_the_caller_to_the_end_of_its_job(launched_api):
    """The same id is in a line of the web process and in the last line of the worker about the job."""
    api, process = launched_api
    _, chat = api.call("POST", "/api/v1/chat/sync", {"message": "a"}, **{"X-Request-ID": "followed-1"})
    job_id = chat["job_id"]

    assert process.wait_for(f"job_accepted request_id=followed-1 job_id={job_id} ").startswith("web")
    last = process.wait_for(f"job_finished job_id={job_id} request_id=followed-1 attempt=1 age_seconds=")
    assert last.startswith("worker")
    assert last.rstrip().endswith("state=completed code=-")


def test_other_users_can_read_no_file_and_use_no_redis(launched_api):
    """Prompts, answers and documents are in the data folder and in the embedded server; `ps` shows command lines."""
    api, process = launched_api
    env = process.env
    folder = Path(env["CHATQUEUE_DATA_DIR"])
    api.call("POST", "/api/v1/chat/sync", {"message": "a"})
    headers = {"Content-Type": "text/plain"}
    request = urllib.request.Request(f"{api.url}/api/v1/documents?filename=a.txt", b"some words", headers)
    urllib.request.urlopen(request, timeout=10).close()
    until(lambda: list(folder.glob("documents/*/*")))
    password = (folder / "redis-password").read_text().strip()
    commands = [" ".join(child.cmdline()) for child in psutil.Process(process.pid).children(recursive=True)]

    assert [
        path for path in (folder, *folder.rglob("*")) if path.lstat().st_mode & 0o077 and not path.is_symlink()
    ] == []
    assert len(password) > 30
    assert not any(password in command for command in commands)
    assert password not in process.output
    with (
        redis.Redis(port=int(env["CHATQUEUE_EMBEDDED_REDIS_PORT"])) as stranger,
        pytest.raises(redis.AuthenticationError),
    ):
        stranger.ping()


def test_the_embedded_redis_has_a_limit_of_memory(launched_api):
    """Without one, `CHATQUEUE_MAX_MEMORY_PERCENT` would never apply, and the kernel would end some process instead."""
    _, process = launched_api
    password = (Path(process.env["CHATQUEUE_DATA_DIR"]) / "redis-password").read_text().strip()
    with redis.Redis(port=int(process.env["CHATQUEUE_EMBEDDED_REDIS_PORT"]), password=password) as client:
        limit = int(client.config_get("maxmemory")["maxmemory"])

    assert limit == machine_memory_bytes() // 4


def _page_with(api, path, text):
    page = api.flower(path)[2]
    return page if text in page else None
