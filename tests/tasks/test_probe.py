"""A provider that was away is tried by one call. The others start as soon as that call brings output."""

import pytest

from jobs.models import WaitReason
from jobs.queries import queue_position
from jobs.states import State
from jobs.storage import keys, transitions
from tests.support.offline_model import directive, key
from tests.support.waiting import until

pytestmark = pytest.mark.processes


def test_the_others_do_not_wait_for_the_end_of_the_call_that_tries(worker, client, redis_client, settings):
    """Its answer may take minutes. Until its first output they wait, and the job says for what."""
    redis_client.hset(keys.target("main/gpt-5-mini"), mapping={"breaker_ms": 5_000, "breaker_since_ms": 1})
    trying = client.submit(directive("delay=1 tokens=2000 interval=0.02", key()))
    other = client.submit("[[offline say=next]]")
    assert client.store.run(queue_position(other)).waiting_for is WaitReason.PROVIDER_DOWN

    assert client.ended(other).state is State.COMPLETED
    assert client.record(trying).state is State.IN_PROGRESS
    assert client.store.run(transitions.cancel(trying, keys.DEFAULT_QUEUE, settings)) == "cancelled"
    until(lambda: client.record(trying).state is State.CANCELLED)
