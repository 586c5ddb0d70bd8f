"""The cost of reading does not grow with the number of jobs. It is counted in Redis commands, not in seconds."""

import os

import pytest

from api import create_app
from jobs import queries
from jobs.states import State
from jobs.storage import transitions
from tests.jobs.conftest import Driver

SMALL, LARGE = 1_000, int(os.environ.get("CHATQUEUE_TEST_MANY_JOBS", "10000"))


@pytest.fixture
def jobs(store, settings):
    """Creates jobs and moves them through their states, as API and worker do."""
    return Driver(store, settings)


def commands_for(redis_client, action):
    """The number of commands of each kind that the server ran for the action."""
    redis_client.config_resetstat()
    action()
    stats = redis_client.info("commandstats")
    counted = {name.removeprefix("cmdstat_"): stat["calls"] for name, stat in stats.items()}
    return {
        name: calls for name, calls in counted.items() if not name.startswith(("config", "info", "client", "hello"))
    }


def fill(jobs, count):
    """Create that many jobs with the real transition, many in one round trip; their ids."""
    job_ids: list[str] = []
    while len(job_ids) < count:
        batch = [jobs.new_job() for _ in range(min(1_000, count - len(job_ids)))]
        jobs.store.run_all([transitions.create(job, jobs.message_template, jobs.settings) for job in batch])
        job_ids += [job.job_id for job in batch]
    return job_ids


@pytest.mark.slow
@pytest.mark.parametrize(
    "path", ["/api/v1/queue/stats", "/api/v1/tasks?ids={ids}", "/api/v1/tasks?limit=100", "/health"]
)
def test_commands_do_not_grow_with_the_number_of_jobs(jobs, redis_client, settings, path):
    """A request over many more jobs runs exactly the same Redis commands."""
    client = create_app(settings.model_copy(update={"max_queued": 10**7})).test_client()
    jobs.settings = settings.model_copy(update={"max_queued": 10**7})
    job_ids = fill(jobs, SMALL)
    url = path.format(ids=",".join(job_ids))

    def send_request():
        assert client.get(url).status_code == 200

    send_request()
    small = commands_for(redis_client, send_request)
    fill(jobs, LARGE - SMALL)
    large = commands_for(redis_client, send_request)

    assert jobs.store.run(queries.count(State.QUEUED)) == LARGE
    assert small == large
