"""What reading costs does not grow with the number of jobs: counted in Redis commands, not in seconds."""

import os

import pytest

from api import create_app
from jobs import queries
from jobs.states import State
from jobs.storage import transitions
from tests.jobs.conftest import Driver

FEW, MANY = 1_000, int(os.environ.get("CHATQUEUE_TEST_MANY_JOBS", "10000"))


@pytest.fixture
def jobs(store, settings):
    return Driver(store, settings)


def commands_for(redis_client, action):
    """How many commands of each kind the server ran for the action."""
    redis_client.config_resetstat()
    action()
    stats = redis_client.info("commandstats")
    counted = {name.removeprefix("cmdstat_"): stat["calls"] for name, stat in stats.items()}
    return {
        name: calls for name, calls in counted.items() if not name.startswith(("config", "info", "client", "hello"))
    }


def fill(jobs, count):
    """Records made by the store's own create, many in one round trip."""
    made = []
    while len(made) < count:
        batch = [jobs.new_job() for _ in range(min(1_000, count - len(made)))]
        jobs.store.run_all([transitions.create(job, jobs.message_template, jobs.settings) for job in batch])
        made += [job.job_id for job in batch]
    return made


@pytest.mark.parametrize(
    "path", ["/api/v1/queue/stats", "/api/v1/tasks?ids={ids}", "/api/v1/tasks?limit=100", "/health"]
)
def test_commands_do_not_grow_with_the_number_of_jobs(jobs, redis_client, settings, path):
    """The same request over a thousand records and over many more: the same commands."""
    client = create_app(settings.model_copy(update={"max_queued": 10**7})).test_client()
    jobs.settings = settings.model_copy(update={"max_queued": 10**7})
    first = fill(jobs, FEW)
    url = path.format(ids=",".join(first))

    def ask():
        assert client.get(url).status_code == 200

    ask()
    few = commands_for(redis_client, ask)
    fill(jobs, MANY - FEW)
    many = commands_for(redis_client, ask)

    assert jobs.store.run(queries.count(State.QUEUED)) == MANY
    assert few == many
