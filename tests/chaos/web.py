"""The web process: killed after writing a job's record and before publishing its message, stopped, or without Redis."""

import json
import os
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from jobs.storage import keys
from tests.chaos.environment import Environment
from tests.chaos.fault import Fault
from tests.chaos.jobs_sent import AcceptedJob, JobSpec, make_job_spec
from tests.chaos.proxy import Proxy
from tests.support.processes import PROJECT_ROOT, Process, free_port

ERROR_RESPONSE_SECONDS = 3.0
NO_FIELDS: Mapping[str, str] = {}
_GUNICORN = [sys.executable, "-m", "gunicorn", "-c", "api/gunicorn_conf.py", "api:create_app()"]


class Web:
    """A gunicorn server of one row."""

    def __init__(
        self, environment: Environment, broker_url: str = "", redis_url: str = "", folder: Path = PROJECT_ROOT
    ) -> None:
        self._environment = environment
        self._folder = folder
        self._port = free_port()
        self._env = {
            **environment.env_vars(),
            "CELERY_BROKER_URL": broker_url,
            "REDIS_URL": redis_url or environment.redis.url,
            "CHATQUEUE_WEB_PORT": str(self._port),
            "CHATQUEUE_WEB_WORKERS": "1",
        }

    def start(self) -> Process:
        """Start the server; it is stopped at the end of the row."""
        return self._environment.process(_GUNICORN, ready="Booting worker", env=self._env, folder=self._folder)

    def post(self, spec: JobSpec, timeout: float = 30, fields: Mapping[str, str] = NO_FIELDS) -> str:
        """Submit once, with further fields. Returns the id of the accepted job; raises OSError otherwise."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._port}/api/v1/chat/async",
            data=json.dumps({"message": spec.message, **fields}).encode(),
            headers={"Content-Type": "application/json", "Idempotency-Key": spec.key},
        )
        with urllib.request.urlopen(request, timeout=timeout) as reply:
            return str(json.load(reply)["job_id"])

    def submit(self, spec: JobSpec, seconds: float = 60, fields: Mapping[str, str] = NO_FIELDS) -> AcceptedJob:
        """Submit with one Idempotency-Key until the job is accepted."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                return self._environment.client.record(AcceptedJob(self.post(spec, fields=fields), spec.key, spec.text))
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.3)


def kill_between_record_and_message(environment: Environment) -> None:
    """The message is stuck in a stalled broker when the web process is killed. The job has a record, so it is run."""
    proxy = environment.proxy()
    web = Web(environment, f"redis://127.0.0.1:{proxy.port}/1")
    environment.submit = lambda seconds: web.submit(make_job_spec(seconds))
    environment.fleet.env["CELERY_BROKER_URL"] = environment.redis.url.removesuffix("/0") + "/1"
    environment.fleet.start(2, 10)
    process = web.start()
    for _ in range(environment.plan.count(3)):
        process = _kill_with_messages_stuck(environment, proxy, web, process)
    _submit_without_broker(environment, proxy, web)


def _kill_with_messages_stuck(environment: Environment, proxy: Proxy, web: Web, process: Process) -> Process:
    web.submit(make_job_spec(1))
    specs = [make_job_spec(1) for _ in range(10)]
    proxy.stall()
    with ThreadPoolExecutor(len(specs)) as pool, environment.redis.client() as redis:
        known = redis.zcard(keys.INDEX_ALL)
        posts = [pool.submit(web.post, spec) for spec in specs]
        environment.wait(lambda: redis.zcard(keys.INDEX_ALL) == known + len(specs), 10, "the records are written")
        kill_group(process)
        killed_at = time.time()
        environment.notes.append(f"{sum(post.exception() is None for post in posts)} of 10 accepted before the kill")
    proxy.restore()
    process = web.start()
    sent = [web.submit(spec) for spec in specs]
    started = environment.wait_for_calls(sent, 30, "jobs without a message begin")
    environment.recovery_seconds += [max(0.0, started_at - killed_at) for started_at in started]
    if environment.calls().extra:
        environment.failures.append("a repeated submit led to a second call")
    return process


def _submit_without_broker(environment: Environment, proxy: Proxy, web: Web) -> None:
    """A job is accepted while the broker is down. Recovery publishes its message later."""
    proxy.refuse()
    started = time.monotonic()
    sent = [web.submit(make_job_spec(1)) for _ in range(5)]
    environment.notes.append(f"accepted in {(time.monotonic() - started) / len(sent):.1f} s each without a broker")
    environment.wait_for_calls(sent, 30, "jobs without a message begin")
    proxy.restore()


def stop_under_load(environment: Environment) -> None:
    """SIGTERM under load: the server answers every submit that it has received, and every accepted job is run."""
    environment.fleet.start(1, 20)
    web = Web(environment)
    process = web.start()
    for _ in range(environment.plan.count(3)):
        with ThreadPoolExecutor(8) as pool:
            posts = [pool.submit(web.submit, make_job_spec(0.5)) for _ in range(200)]
            time.sleep(0.2)
            started = time.monotonic()
            process.send(signal.SIGTERM)
            code = process.wait(30)
            environment.notes.append(f"exit {code} after {time.monotonic() - started:.1f} s")
            if code != 0:
                environment.failures.append(f"the web process exits with {code}")
            process = web.start()
            [post.result() for post in posts]


def refuse_fast_without_redis(environment: Environment) -> None:
    """Redis refuses connections, then stalls. Every submit of a burst gets a 503 in time; later ones are accepted."""
    environment.fleet.start(1, 10)
    proxy = environment.proxy()
    web = Web(environment, redis_url=proxy.url)
    web.start()
    for fault in (proxy.refuse, proxy.stall):
        web.submit(make_job_spec(1))
        fault()
        with ThreadPoolExecutor(20) as pool:
            replies = list(pool.map(lambda _: _try_submit(web), range(60)))
        proxy.restore()
        restored_at = time.monotonic()
        web.submit(make_job_spec(1))
        environment.recovery_seconds.append(time.monotonic() - restored_at)
        codes, times = zip(*replies, strict=True)
        environment.notes.append(f"{sorted(set(codes))} in at most {max(times):.1f} s")
        if set(codes) != {503} or max(times) > ERROR_RESPONSE_SECONDS:
            environment.failures.append("not every response was a 503 in time")


def _try_submit(web: Web) -> tuple[int, float]:
    """The status, 0 when there was no response, and the seconds that it took."""
    started = time.monotonic()
    try:
        web.post(make_job_spec(1))
        status = 202
    except urllib.error.HTTPError as error:
        status = error.code
        error.close()
    except OSError:
        status = 0
    return status, time.monotonic() - started


def kill_group(process: Process) -> None:
    """Kill the process and its children, and wait for it."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


FAULTS = (
    Fault("web_kill", "SIGKILL of the web between record and message", kill_between_record_and_message),
    Fault("web_away", "web without Redis: refused, then stalled, 60 submits each", refuse_fast_without_redis),
    Fault("web_term", "SIGTERM of the web under load", stop_under_load),
)
