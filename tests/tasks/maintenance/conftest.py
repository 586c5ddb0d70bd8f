"""Maintenance against a real Redis with no worker running."""

import json

import pytest

from jobs.storage import keys
from tasks import app
from tasks.queue_message import make_message_template
from tests.jobs.conftest import Driver


@pytest.fixture
def jobs(store, settings):
    """A driver with short leases."""
    short = settings.model_copy(update={"lease_seconds": 0.3, "heartbeat_seconds": 0.1, "max_worker_losses": 3})
    driver = Driver(store, short)
    driver.message_template = make_message_template(app, short)
    return driver


@pytest.fixture
def tick(jobs):
    """Runs every maintenance task of recovery once."""
    return jobs.recover


def republished_ids(redis_client, jobs):
    return [json.loads(raw)["headers"]["id"] for raw in redis_client.lrange(jobs.message_template.high_list, 0, -1)]


def expire_lease(redis_client, job_id):
    redis_client.zadd(keys.LEASES, {job_id: 1})


def make_message_old(redis_client, job_id):
    """Make the job old enough for its message to count as lost."""
    redis_client.hset(keys.job(job_id), "created_at_ms", 1)
