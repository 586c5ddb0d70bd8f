"""Log lines as JSON: our events with their fields, the context of a request or an attempt, and nothing else."""

import json
import logging
import sys

import pytest

from guards.json_log import JsonFormatter, log_context


def line(message, *args, **attributes):
    """A formatted record, read again; it must be one line."""
    record = logging.LogRecord("a.b", logging.INFO, "f", 1, message, args, attributes.pop("exc_info", None))
    record.created, record.msecs = 1_795_255_200.004, 4
    record.__dict__.update(attributes)
    text = JsonFormatter().format(record)
    assert "\n" not in text
    return json.loads(text)


@pytest.fixture(autouse=True)
def no_context():
    """A request or an attempt of an earlier test may have left its own."""
    token = log_context.set({})
    yield
    log_context.reset(token)


HEAD = {"time": "2026-11-21T10:00:00.004Z", "level": "INFO", "logger": "a.b"}


@pytest.mark.parametrize(
    ("message", "args", "fields"),
    [
        ("heartbeat_stopped", (), {"event": "heartbeat_stopped"}),
        ("an_event x=%d y=%s", (1, "b"), {"event": "an_event", "x": 1, "y": "b"}),
        ("an_event age=%.3f", (0.004,), {"event": "an_event", "age": 0.004}),
        ("an_event text=%r", ('it\'s "so" a=1',), {"event": "an_event", "text": 'it\'s "so" a=1'}),
        ("an_event text=%r", ("two\nlines \\ 'x'",), {"event": "an_event", "text": "two\nlines \\ 'x'"}),
        ("an_event id=%s", ("007",), {"event": "an_event", "id": "007"}),
        ("an_event id=%s", ("9" * 40,), {"event": "an_event", "id": "9" * 40}),
        ("an_event x=%s y=%s", ("", "-"), {"event": "an_event", "x": "", "y": "-"}),
        ("an_event url=%s", ("amqp://h/a=b",), {"event": "an_event", "url": "amqp://h/a=b"}),
        ("Task %s succeeded in 0.1s", ("t",), {"message": "Task t succeeded in 0.1s"}),
        ("an_event x=1 and more", (), {"message": "an_event x=1 and more"}),
        ("ready", (), {"message": "ready"}),
        ("two\nlines", (), {"message": "two\nlines"}),
        ("", (), {"message": ""}),
    ],
)
def test_an_event_becomes_members_and_other_text_a_message(message, args, fields):
    """Nothing is guessed: a line that is not wholly an event is a message."""
    assert line(message, *args) == HEAD | fields


def test_the_context_of_a_request_or_attempt_is_in_every_line():
    """Also in lines of libraries; a field of the event itself wins."""
    token = log_context.set({"request_id": "r", "job_id": "j"})
    try:
        assert line("from a library") == HEAD | {"request_id": "r", "job_id": "j", "message": "from a library"}
        assert line("an_event job_id=%s", "k")["job_id"] == "k"
    finally:
        log_context.reset(token)


def test_of_a_task_only_its_id_is_taken():
    """Celery attaches the arguments and the result of a task to its lines."""
    attached = {"id": "job_1", "args": "(canary)", "return_value": "canary"}
    assert line("Task succeeded", data=attached) == HEAD | {"job_id": "job_1", "message": "Task succeeded"}


def test_an_exception_is_one_member():
    """A traceback of several lines would be several entries for a program that reads lines."""
    try:
        json.loads("")
    except ValueError:
        shown = line("background_failed", exc_info=sys.exc_info())
    assert shown["exception"].splitlines()[-1].startswith("json.decoder.JSONDecodeError: ")
