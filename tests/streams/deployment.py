"""chatqueue as it is deployed, for one test module: Redis, API processes and workers, started simultaneously."""

import http.client
import json
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import redis

from jobs import queries
from jobs.models import JobRecord
from jobs.settings import Settings
from jobs.storage import transitions
from jobs.storage.keys import DEFAULT_QUEUE
from jobs.storage.redis_client import connect
from jobs.storage.sync_store import Store
from tests.chaos.redis_server import RedisServer
from tests.chaos.worker_fleet import Worker, WorkerFleet
from tests.streams.reading import StreamReader
from tests.support.processes import Process, free_port
from tests.support.waiting import until

SLOTS = 20
CONFIG = "api/gunicorn_conf.py"


class WebServer:
    """One gunicorn with one worker process. It can be restarted on the same port."""

    def __init__(self, env: Mapping[str, str], config: str = CONFIG) -> None:
        self.port = free_port()
        self._args = [sys.executable, "-m", "gunicorn", "-c", config, "api:create_app()"]
        self._env = {**env, "CHATQUEUE_WEB_PORT": str(self.port), "CHATQUEUE_WEB_WORKERS": "1"}
        self.ended: list[Process] = []
        self.process: Process

    def start(self) -> None:
        """Returns immediately; see ``wait_until_ready``."""
        self.process = Process(self._args, self._env)

    def wait_until_ready(self) -> None:
        self.process.wait_for("Booting worker")
        until(self._is_live)

    def end(self, number: int = signal.SIGTERM) -> None:
        """Sends SIGTERM to the master, as a deployment does, or SIGKILL to all processes, without waiting."""
        os.killpg(self.process.pid, number) if number == signal.SIGKILL else self.process.send(number)
        self.ended.append(self.process)

    def restart(self) -> None:
        """Starts the server again after ``end``, once the old process is gone."""
        self.process.wait()
        self.start()
        self.wait_until_ready()

    def close(self) -> None:
        """Kills the process: a graceful stop is tested elsewhere and takes seconds."""
        for process in {*self.ended, self.process}:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.stop()

    @property
    def output(self) -> str:
        """The output of all its starts."""
        return "".join(process.output for process in {*self.ended, self.process})

    @property
    def worker(self) -> psutil.Process:
        (worker,) = psutil.Process(self.process.pid).children()
        return worker

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            content = None if body is None else json.dumps(body)
            connection.request(method, path, content, {"Content-Type": "application/json", **headers})
            reply = connection.getresponse()
            return reply.status, json.loads(reply.read() or "null")

    def submit(self, message: str, **more: Any) -> str:
        status, body = self.call("POST", "/api/v1/chat/async", {"message": message, **more})
        assert status == 202, body
        return str(body["job_id"])

    def chat(self, job_id: str) -> dict[str, Any]:
        return dict(self.call("GET", f"/api/v1/chat/jobs/{job_id}?wait=30")[1])

    def follow(self, job_id: str, after: str | None = None, how: str = "header") -> StreamReader:
        """``how`` is where the last event id is sent: in the header, as an EventSource does, or in the query."""
        path = f"/api/v1/chat/jobs/{job_id}/events"
        if after is None:
            return StreamReader(self.port, path)
        if how == "query":
            return StreamReader(self.port, f"{path}?starting_after={after}")
        return StreamReader(self.port, path, headers={"Last-Event-ID": after})

    def post(self, path: str, body: Any, **headers: str) -> StreamReader:
        """A submission whose connection stays open."""
        request_headers = {"Content-Type": "application/json", **headers}
        return StreamReader(self.port, f"/api/v1/chat/{path}", "POST", json.dumps(body), request_headers)

    def _is_live(self) -> bool:
        try:
            return self.call("GET", "/health/live")[0] == 200
        except OSError:
            return False


class Deployment:
    def __init__(self, folder: Path, model_url: str, **settings: str) -> None:
        self.redis = RedisServer(folder)
        self.model_url = model_url
        self.env = {
            "REDIS_URL": self.redis.url,
            "CELERY_BROKER_URL": "",
            "OPENAI_BASE_URL": model_url,
            "OPENAI_API_KEY": "sk-streams",
            "CHATQUEUE_BACKOFF_BASE_SECONDS": "0.1",
            **{f"CHATQUEUE_{name.upper()}": value for name, value in settings.items()},
        }
        self.settings = Settings(REDIS_URL=self.redis.url, CELERY_BROKER_URL=None)
        self.store = Store(connect(self.settings))
        self.fleet = WorkerFleet("asyncio", self.env)
        self.webs: list[WebServer] = []

    def start(self, webs: int, workers: int, config: str = CONFIG) -> None:
        self.redis.start()
        self.webs = [WebServer(self.env, config) for _ in range(webs)]
        for web in self.webs:
            web.start()
        for _ in range(workers):
            self.fleet.add(SLOTS)
        for web in self.webs:
            web.wait_until_ready()
        self.fleet.wait_until_ready()

    def close(self) -> None:
        for web in self.webs:
            web.close()
        self.fleet.close()
        self.store.close()
        self.redis.end(signal.SIGKILL)

    def record(self, job_id: str) -> JobRecord:
        record = self.store.run(queries.record(job_id))
        assert record is not None
        return record

    def owner(self, job_id: str) -> Worker:
        """The worker that runs the job, as soon as there is one."""
        owner = until(lambda: self.record(job_id).owner)
        return next(worker for worker in self.fleet.workers if owner.endswith(f":{worker.pid}"))

    def cancel(self, *job_ids: str) -> None:
        """Cancels all jobs in one round trip."""
        self.store.run_all([transitions.cancel(job_id, DEFAULT_QUEUE, self.settings) for job_id in job_ids])

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.redis.url)


@contextmanager
def deployed(
    folder: Path, model_url: str, *, webs: int, workers: int, config: str = CONFIG, **settings: str
) -> Iterator[Deployment]:
    deployment = Deployment(folder, model_url, **settings)
    try:
        deployment.start(webs, workers, config)
        yield deployment
    finally:
        deployment.close()
