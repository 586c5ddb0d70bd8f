"""Jobs are answered with every kind of REDIS_URL: behind Sentinels, over TLS, over a Unix socket."""

import asyncio
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from jobs import queries
from jobs.errors import StoreUnavailable
from jobs.folders import PROJECT_ROOT
from jobs.kinds.chat import ChatTask
from jobs.settings import Settings
from jobs.storage.durability import WriteSafety
from jobs.storage.redis_client import connect
from jobs.storage.sync_store import Store
from jobs.watch.listener import ChangeListener
from local.errors import CannotStart
from local.preflight import check_redis
from local.readiness import probe_for
from tasks.submit import Submitter
from tests.support.processes import Process, running
from tests.support.redis_servers import MASTER, PASSWORD, PASSWORD_IN_URL, Sentinels, valkey
from tests.support.waiting import until

FAILOVER_SECONDS = 40.0


class Deployment:
    """Uses one REDIS_URL as the web process, the launcher and Celery's own tools do."""

    def __init__(self, url: str, model_url: str) -> None:
        self.env = {"REDIS_URL": url, "CELERY_BROKER_URL": "", "OPENAI_BASE_URL": model_url, "OPENAI_API_KEY": "sk-x"}
        self.settings = Settings(REDIS_URL=url, CELERY_BROKER_URL=None)
        client = connect(self.settings)
        self.store = Store(client, WriteSafety.of(self.settings))
        self._listener = ChangeListener(client)
        self._submitter = Submitter(self.store, self.settings)

    @contextmanager
    def worker(self) -> Iterator[Process]:
        """A worker that the launcher also considers ready: its heartbeat is in Redis."""
        check_redis(self.settings)
        is_ready = probe_for("worker", self.settings)
        args = [sys.executable, "-m", "celery", "-A", "tasks", "worker", "--loglevel", "DEBUG"]
        with running(args, ready=" ready.", env=self.env) as process:
            until(is_ready)
            yield process

    def submit(self, say: str) -> str | None:
        """The id of the job; None while Redis is down. The idempotency key makes a retry return the same job."""
        request = ChatTask(kind="chat", message=f"[[offline say={say}]]")
        try:
            return self._submitter.submit(request, idempotency_key=say).job_id
        except StoreUnavailable:
            return None

    def answer(self, job_id: str, seconds: float) -> str:
        """The text of the answer, awaited with the listener of the web process."""
        fetch = partial(self.store.run, queries.outcome(job_id))
        outcome = self._listener.wait(job_id, lambda _: _require_success(fetch), seconds)
        assert outcome is not None, f"no answer within {seconds} s"
        return outcome.text

    def python(self, code: str) -> str:
        """The output of a separate process in which `app` is our Celery app."""
        return self._run("-c", f"from tasks import app\n{code}")

    def inspections(self) -> str:
        """What the worker tells about itself, fetched through the broker by Celery's own command."""
        destination = ("--destination", f"celery@{socket.gethostname()}", "--timeout", "10")
        commands = ("conf", "stats", "report", "active_queues")
        output = "".join(self._run("-m", "celery", "-A", "tasks", "inspect", name, *destination) for name in commands)
        assert "task_acks_late" in output
        assert "prefetch_count" in output
        return output

    def result(self, job_id: str) -> str:
        """The text of the answer, fetched by Celery's AsyncResult through the backend of our app."""
        return self.python(f"print(app.AsyncResult('{job_id}').get(timeout=10)['text'])")

    def close(self) -> None:
        self._listener.close()
        self.store.close()

    def _run(self, *args: str) -> str:
        command = [sys.executable, *args]
        env = {**os.environ, **self.env}
        completed = subprocess.run(
            command, cwd=PROJECT_ROOT, env=env, capture_output=True, text=True, timeout=30, check=True
        )
        return completed.stdout + completed.stderr


def _require_success(fetch):
    answer, error = fetch()
    assert error is None
    return answer


@pytest.fixture
def deployed(model_url, processes):
    """Creates a Deployment for a URL and closes it after the test."""
    with ExitStack() as stack:

        def deploy(url: str) -> Deployment:
            deployment = Deployment(url, model_url)
            stack.callback(deployment.close)
            return deployment

        yield deploy


@pytest.fixture
def sentinels(tmp_path):
    with ExitStack() as stack:
        yield Sentinels(tmp_path, stack)


def test_behind_sentinels_jobs_are_answered_before_and_after_a_failover(sentinels, deployed):
    """Records, messages, results and remote control follow the current master, also after its host has died.

    Neither the worker's log nor its reported configuration contains the password.
    """
    deployment = deployed(sentinels.url)
    with deployment.worker() as worker:
        job_id = deployment.submit("before")
        assert deployment.answer(job_id, 15) == "before"
        assert "before" in deployment.result(job_id)
        conf = deployment.inspections()

        sentinels.kill_the_host_of_the_master()

        job_id = until(lambda: deployment.submit("after"), FAILOVER_SECONDS)
        assert deployment.answer(job_id, FAILOVER_SECONDS) == "after"
        assert "after" in deployment.result(job_id)
        assert worker.returncode is None
        output = worker.output + conf
    assert "sentinel://" in output
    assert PASSWORD not in output
    assert PASSWORD_IN_URL not in output


@pytest.mark.parametrize("sentinels_are", ["silent", "refusing"])
def test_a_submit_is_rejected_within_three_seconds_when_no_sentinel_answers(sentinels_are, deployed):
    """Three unreachable Sentinels may take no longer than one server, so that the caller gets its 503 in time."""
    with ExitStack() as stack:
        listening = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
        ports = [server.getsockname()[1] for server in listening]
        if sentinels_are == "refusing":
            stack.close()
        deployment = deployed(f"sentinel://{','.join(f'127.0.0.1:{port}' for port in ports)}/0?master={MASTER}")
        started = time.monotonic()

        assert deployment.submit("rejected") is None
        assert time.monotonic() - started < 3


@pytest.fixture
def certificate(tmp_path):
    """The files of a self-signed certificate, which is its own CA, and of its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("the command openssl is not installed")
    certificate_path, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    args = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=test"]
    for extension in ("subjectAltName=IP:127.0.0.1", "keyUsage=critical,digitalSignature,keyCertSign"):
        args += ["-addext", extension]
    subprocess.run([openssl, *args, "-out", certificate_path, "-keyout", key], check=True, capture_output=True)
    return certificate_path, key


@contextmanager
def tls_proxy(port: int, certificate: tuple[Path, Path]) -> Iterator[int]:
    """Terminates TLS and forwards to the port. Yields the port that it listens on."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    ready: list[int] = []
    is_listening, stop = threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with await asyncio.start_server(partial(_forward, port), "127.0.0.1", 0, ssl=context) as server:
            ready.append(server.sockets[0].getsockname()[1])
            is_listening.set()
            await stop.wait()
            server.close()
            rest = asyncio.all_tasks() - {asyncio.current_task()}
            for task in rest:
                task.cancel()
            await asyncio.gather(*rest, return_exceptions=True)

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert is_listening.wait(5)
    try:
        yield ready[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


async def _forward(port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    to_reader, to_writer = await asyncio.open_connection("127.0.0.1", port)
    directions = [asyncio.ensure_future(_copy(*direction)) for direction in ((reader, to_writer), (to_reader, writer))]
    try:
        await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for direction in directions:
            direction.cancel()
        for end in (writer, to_writer):
            end.transport.abort()
            with suppress(OSError):
                await end.wait_closed()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


@pytest.fixture
def tls_url(redis_client, redis_url, certificate):
    """The URL of Redis over TLS, without the CA certificate that makes it trusted."""
    with tls_proxy(urlsplit(redis_url).port, certificate) as port:
        yield f"rediss://default:{PASSWORD_IN_URL}@127.0.0.1:{port}/0"


def test_a_job_is_answered_over_tls_with_a_private_ca(tls_url, certificate, deployed):
    """Records, messages, results and remote control use the encrypted port, and no log contains the password."""
    deployment = deployed(f"{tls_url}?ssl_ca_certs={certificate[0]}")
    with deployment.worker() as worker:
        job_id = deployment.submit("sealed")
        assert deployment.answer(job_id, 15) == "sealed"
        assert "sealed" in deployment.result(job_id)
        output = worker.output + deployment.inspections()
    assert "rediss://" in output
    assert PASSWORD not in output
    assert PASSWORD_IN_URL not in output


def test_an_untrusted_certificate_is_rejected_by_every_client(tls_url, deployed):
    """The launcher, kombu and Celery's backend all verify certificates; the launcher reports the reason."""
    deployment = deployed(tls_url)
    snippet = "try: {call}\nexcept Exception as error: print(error)\nelse: print('connected')\n"
    calls = ("app.connection_for_write().connect()", "app.backend.client.ping()")

    with pytest.raises(CannotStart, match="TLS: CERTIFICATE_VERIFY_FAILED"):
        check_redis(deployment.settings)
    output = deployment.python("".join(snippet.format(call=call) for call in calls))
    assert output.count("certificate verify failed") == len(calls), output
    assert "connected" not in output


def test_a_job_is_answered_over_a_unix_socket(tmp_path, deployed):
    """Redis need not listen on a TCP port. kombu would show the whole URL, password included, as the host's name."""
    path = tmp_path / "redis.sock"
    args = valkey(tmp_path, "--port", "0", "--unixsocket", str(path), "--requirepass", PASSWORD)
    with running(args, ready="Ready to accept connections"):
        deployment = deployed(f"unix://:{PASSWORD_IN_URL}@{path}?db=1")
        with deployment.worker() as worker:
            job_id = deployment.submit("near")
            assert deployment.answer(job_id, 15) == "near"
            assert "near" in deployment.result(job_id)
            output = worker.output + deployment.inspections()
    assert PASSWORD not in output
    assert PASSWORD_IN_URL not in output
