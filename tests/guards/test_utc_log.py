"""Log lines have the time in UTC, so that those of several processes and machines can be compared."""

import logging
import time

import pytest

from guards.utc_log import FORMAT, UtcFormatter
from gunicorn_ext.logger import ContentFreeLogger


@pytest.fixture
def line(monkeypatch):
    """A formatted log line of a known moment, by a process in Kathmandu."""
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    time.tzset()

    def of(formatter):
        record = logging.LogRecord("a.b", logging.INFO, "f", 1, "an_event x=%d", (1,), None)
        record.created, record.msecs = 1_795_255_200.004, 4
        return formatter.format(record)

    yield of
    monkeypatch.undo()
    time.tzset()


def test_a_line_of_web_and_worker_has_the_time_of_the_api(line):
    """The same form as `created_at` of a task."""
    assert line(UtcFormatter(FORMAT)) == "2026-11-21T10:00:00.004Z INFO a.b an_event x=1"


def test_a_line_of_gunicorn_has_it_too(line):
    """It stands between the lines of the web process."""
    assert line(UtcFormatter(ContentFreeLogger.error_fmt)).startswith("2026-11-21T10:00:00.004Z [")
