"""All transitions make legal moves only, and write nothing without the lease."""

import pytest

from jobs.models import Lease
from jobs.states import TRANSITIONS, State
from jobs.storage import transitions
from jobs.storage.scripts import script_names
from jobs.storage.transitions import access
from tests.jobs.conftest import logged_events

_OTHER_COMMANDS = {
    "queue_position",
    "pool_stats",
    "target_states",
    "leader",
    "rights",
    "document_update",
    "report_worker",
}


@pytest.mark.parametrize("write", ["append", "finish", "fail", "release", "renew"])
def test_a_worker_that_lost_its_lease_changes_nothing(jobs, redis_client, write):
    """After a later claim the earlier token is void for every write."""
    old = jobs.lease()
    jobs.release(old)
    new = jobs.lease(old.job_id)
    before = (jobs.record(old.job_id), logged_events(redis_client, old.job_id))

    refused = {
        "append": lambda: jobs.append(old, "x", log_length=new.log_length) is None,
        "finish": lambda: jobs.finish(old) is False,
        "fail": lambda: jobs.fail(old) is False,
        "release": lambda: jobs.release(old) is None,
        "renew": lambda: jobs.renew(old) == {old.job_id},
    }[write]()
    assert refused
    assert (jobs.record(old.job_id), logged_events(redis_client, old.job_id)) == before


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("transition", ["claim", "cancel", "finish", "release"])
def test_the_scripts_make_exactly_the_moves_of_the_table(jobs, state, transition):
    """Every transition in every state moves the job as TRANSITIONS allows, or not at all."""
    job_id = jobs.in_state(state)
    token = jobs.record(job_id).token
    holder = Lease(job_id=job_id, queue=jobs.message_template.queue, token=token, attempt=1, log_length=1)
    move = {
        "claim": lambda: jobs.claim(job_id),
        "cancel": lambda: jobs.cancel(job_id),
        "finish": lambda: jobs.fail(holder, "queued") if state is State.QUEUED else jobs.finish(holder),
        "release": lambda: jobs.release(holder),
    }[transition]

    move()
    after = jobs.record(job_id).state
    legal = {target for source, target in TRANSITIONS[transition] if source is state}
    assert after in legal if legal else after is state


def test_every_lua_file_has_a_transition_or_query_of_its_name():
    """A script that Python never calls would be dead code."""
    for name in script_names():
        is_for_documents = hasattr(transitions.document, name.removeprefix("document_"))
        is_for_keys = name.removeprefix("key_") + "_key" in dir(access)
        assert hasattr(transitions, name) or is_for_documents or is_for_keys or name in _OTHER_COMMANDS, name
