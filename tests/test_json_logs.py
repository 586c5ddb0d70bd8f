"""With CHATQUEUE_LOG_FORMAT=json every line of web and worker is a JSON object, also those of gunicorn and Celery."""

import json
import signal

import pytest

from tests.support.offline_model import directive, key
from tests.support.stack import serving

pytestmark = pytest.mark.processes
CANARY = "canary-5d0e"


@pytest.fixture(scope="module")
def lines(redis_url, model_url):
    """The lines of a web process and of a worker that have answered one call and stopped."""
    with serving(redis_url, model_url, CHATQUEUE_LOG_FORMAT="json") as stack, stack.worker() as worker:
        stack.client().chat.completions.create(
            model="m",
            messages=[{"role": "user", "content": directive(f"say={CANARY}", key(), CANARY)}],
            extra_headers={"X-Request-Id": "my-id-77"},
        )
        for process in (worker, stack.web):
            process.send(signal.SIGTERM)
            assert process.wait(15) == 0
    return {"web": log_of(stack.web), "worker": log_of(worker)}


def log_of(process):
    """Its lines without what Celery prints: its banner before logging begins, and a line at the end."""
    lines = [line for line in process.output.splitlines() if line.strip() and not line.startswith("worker: ")]
    start = next(number for number, line in enumerate(lines) if line.startswith("{"))
    return lines[start:]


@pytest.mark.parametrize("name", ["web", "worker"])
def test_every_line_is_an_object_with_a_time_and_a_level(lines, name):
    """A program that collects logs needs no second parser; a line without JSON would be lost or misread."""
    found = list(map(json.loads, lines[name]))
    assert all({"time", "level", "logger"} <= entry.keys() for entry in found)
    assert len(found) > 2
    assert CANARY not in str(lines[name])


def test_one_call_has_one_request_id_in_all_lines_about_it(lines):
    """From the web process' line to Celery's own."""
    web, worker = (list(map(json.loads, lines[name])) for name in ("web", "worker"))
    accepted = next(entry for entry in web if entry.get("event") == "job_accepted")
    finished = next(entry for entry in worker if entry.get("event") == "job_finished")
    assert accepted["request_id"] == finished["request_id"] == "my-id-77"
    assert accepted["job_id"] == finished["job_id"]
    assert finished["attempt"] == 1
    assert any(entry["logger"].startswith("celery") and entry.get("job_id") == finished["job_id"] for entry in worker)
