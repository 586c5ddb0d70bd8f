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
    driver.report_worker()  # recovery runs in a worker
    return driver


@pytest.fixture
def tick(jobs):
    """Runs every maintenance task of recovery once."""
    return jobs.recover


def published_ids(redis_client, jobs):
    """The jobs whose message of normal priority waits, the latest first."""
    return [json.loads(raw)["headers"]["id"] for raw in redis_client.lrange(jobs.message_template.normal_list, 0, -1)]


def republished_ids(redis_client, jobs):
    """The jobs whose lost message was published again."""
    return [json.loads(raw)["headers"]["id"] for raw in redis_client.lrange(jobs.message_template.high_list, 0, -1)]


def expire_lease(redis_client, job_id):
    redis_client.zadd(keys.LEASES, {job_id: 1})


def make_message_old(redis_client, job_id):
    """Make the message of a job old enough to count as lost."""
    redis_client.hset(keys.job(job_id), mapping={"created_at_ms": 1, "published_at_ms": 1})


def publish_everything(redis_client, jobs):
    """Let no job wait in a line, although no worker reports free slots."""
    redis_client.hset(keys.window(jobs.message_template.queue), "ahead", 1_000)
