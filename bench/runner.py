"""Runs one system: a fresh Redis, a provider, its web processes and its workers. Stops all of them at the end."""

import json
import shlex
import socket
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Self

import redis

from bench.call_timing import RESULT
from bench.load import SubmitRequest, SubmitResult, submit_many
from bench.plan import Plan
from bench.systems import System
from jobs.folders import PROJECT_ROOT
from jobs.settings import Settings
from local.redis_server import find_binary, server_arguments
from tests.support.processes import Process, free_port

START_SECONDS: Final = 60.0
DONE_SECONDS: Final = 300.0
SAMPLE_SECONDS: Final = 1.1  # Redis updates the size of its client buffers about once a second
STABLE_BYTES: Final = 20_000
_POLL_SECONDS: Final = 0.02
_BASE_ENV: Final = {  # overrides variables of the developer's environment
    "CELERY_BROKER_URL": "",
    "OPENAI_API_KEY": "sk-bench",
    "CHATQUEUE_LOG_LEVEL": "INFO",
}


class Runner:
    """``groups`` are the process ids of workers, web, redis and provider, whose cost is measured separately."""

    def __init__(self, plan: Plan, system: System) -> None:
        self.plan = plan
        self.system = system
        self.web_port = free_port()
        groups = ("workers", "web", "redis", "replica", "provider")
        self.groups: dict[str, list[int]] = {name: [] for name in groups}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
            self._start_servers()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start_servers(self) -> None:
        port = free_port()
        self.redis_url = f"redis://127.0.0.1:{port}/0"
        settings = Settings(embedded_redis_port=port, data_dir=self._folder)
        self._start("redis", server_arguments(find_binary(), settings), {}, "Ready to accept connections")
        if self.system.has_replica:
            self._start_replica(port)
        command = [sys.executable, "-m", "local.offline_model", "--port", "0", *self.system.provider]
        model = self._start("provider", command, {}, "listening on")
        self.model_url = model.wait_for("listening on").split()[-1]
        self.redis = redis.Redis.from_url(self.redis_url)
        self._stack.callback(self.redis.close)

    def _start_replica(self, primary_port: int) -> None:
        folder = self._folder / "replica"
        folder.mkdir()
        command = [find_binary(), "--port", free_port(), "--bind", "127.0.0.1", "--dir", folder, "--save", ""]
        command += ["--appendonly", "yes", "--replicaof", f"127.0.0.1 {primary_port}"]
        self._start("replica", list(map(str, command)), {}, "REPLICA sync: Finished with success")

    @cached_property
    def environment(self) -> dict[str, str]:
        """The environment of web processes and workers."""
        slots = self.system.slots(self.plan)
        system_env = {
            name: value.format(in_flight=slots, half=-(-slots // 2)) for name, value in self.system.env.items()
        }
        return {
            **_BASE_ENV,
            "REDIS_URL": self.redis_url,
            "CHATQUEUE_DATA_DIR": str(self._folder),
            "OPENAI_BASE_URL": self.model_url,
            "PYTHONPATH": str(PROJECT_ROOT),
            "PEER_CONCURRENCY": "1",
            "CHATQUEUE_WEB_PORT": str(self.web_port),
            "CHATQUEUE_WEB_WORKERS": str(self.system.web_processes),
            **system_env,
        }

    def start_web(self) -> None:
        """Start the web processes. Returns when all of them accept connections."""
        system = self.system
        web = self._start("web", self.command(system.web), self.environment, system.web_ready)
        wait_until(lambda: web.output.count(system.web_ready) >= system.web_processes, START_SECONDS, "the web")
        wait_until(lambda: _is_listening(self.web_port), START_SECONDS, "the web's port")

    def start_workers(self) -> None:
        """Start the workers. Returns when all of them are ready."""
        system = self.system
        started = [
            self._start("workers", self.command(line), self.environment, system.ready) for line in system.workers
        ]
        for worker in started:
            wait_until(lambda: worker.output.count(system.ready) >= system.processes, START_SECONDS, "workers")  # noqa: B023

    def command(self, line: str) -> list[str]:
        """A command line of the system with its placeholders filled in."""
        slots = self.system.slots(self.plan)
        placeholders = {"port": self.web_port, "redis": self.redis_url, "in_flight": slots, "half": -(-slots // 2)}
        program, *rest = shlex.split(line.format(**placeholders))
        return [self._program(program), *rest]

    def submit(self, count: int, message: str) -> SubmitResult:
        """Submit jobs over HTTP as fast as the web processes accept them."""
        return submit_many(self.submit_request(message), count, self.plan.connections)

    def submit_request(self, message: str) -> SubmitRequest:
        """The HTTP request that submits one job."""
        body = json.dumps({"message": message}).encode()
        return SubmitRequest(self.web_port, self.system.submit_path, self.system.id_field, body)

    def wait_until_done(self, ids: Sequence[str]) -> None:
        """Wait until every job has a result in Redis, whatever the result is."""
        names = [self.system.result_key(job_id) for job_id in ids]
        wait_until(lambda: self.redis.exists(*names) >= len(names), DONE_SECONDS, f"{len(names)} results")

    def warm_up(self) -> list[str]:
        """Fill every slot once, so that the first measured call has nothing to import, open or load."""
        ids = self.submit(self.system.slots(self.plan), self.system.message(1)).ids
        self.wait_until_done(ids)
        return ids

    def expire_logs(self, ids: Sequence[str]) -> None:
        """Delete the event logs, which expire some time after the end of a job, long before its answer."""
        if self.system.log_key is not None:
            self.redis.delete(*map(self.system.log_key, ids))

    def stored_bytes(self) -> int:
        """Bytes that Redis uses, without the buffers of clients and append-only file, once the number is stable."""
        samples = [self._stored_bytes()]

        def is_stable() -> bool:
            time.sleep(SAMPLE_SECONDS)
            samples.append(self._stored_bytes())
            return abs(samples[-1] - samples[-2]) < STABLE_BYTES

        wait_until(is_stable, START_SECONDS, "stable memory")
        return samples[-1]

    def _stored_bytes(self) -> int:
        memory = self.redis.info("memory")
        return int(memory["used_memory"] - memory["mem_clients_normal"] - memory["mem_aof_buffer"])

    def check_answer(self, job_id: str) -> None:
        """Raises RuntimeError when the system does not return the answer: then it did not do the measured work."""
        url = f"http://127.0.0.1:{self.web_port}{self.system.status_path.format(job_id)}"
        with urllib.request.urlopen(url, timeout=10) as reply:
            if b"w18 w19" not in reply.read():
                raise RuntimeError("the answer is not the provider's")

    def provider_calls(self) -> int:
        """The number of calls that the provider has received."""
        with urllib.request.urlopen(self.model_url.removesuffix("/v1") + "/offline/calls", timeout=10) as reply:  # noqa: S310
            return int(json.load(reply)["total"])

    def run_python(self, module: str, *args: str) -> Any:
        """The result of a program of the benchmark, run in the environment where the system is installed."""
        process = Process([self._program("python"), "-m", module, *args], self.environment)
        self._stack.callback(process.stop)
        return json.loads(process.wait_for(RESULT, DONE_SECONDS).removeprefix(RESULT))

    def _start(self, group: str, command: Sequence[str], env: Mapping[str, str], ready: str) -> Process:
        process = Process(command, env)
        self._stack.callback(process.stop)
        self.groups[group].append(process.pid)
        process.wait_for(ready, START_SECONDS)
        return process

    def _program(self, name: str) -> str:
        return str(self.system.bin_folder() / name)


def wait_until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Poll the condition. Raises RuntimeError, which names `what`, when it does not hold in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"timeout after {seconds:.0f} s: {what}")
        time.sleep(_POLL_SECONDS)


def _is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
