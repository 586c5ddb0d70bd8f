"""Messages are published in the background, over a broker that may hang. The broker here is another Redis database."""

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import redis
from pydantic import SecretStr

from jobs.kinds.chat import ChatTask
from jobs.priorities import NORMAL_PRIORITY
from jobs.settings import Settings
from jobs.storage import keys
from jobs.storage.keys import DEFAULT_QUEUE
from tasks import app
from tasks.broker import OutgoingMessage
from tasks.publisher import MAX_WAITING_MESSAGES, Publisher
from tasks.queue_message import RUN_JOB
from tasks.submit import Submitter
from tests.chaos.proxy import Proxy
from tests.support.processes import PROJECT_ROOT
from tests.support.waiting import until

LIST = keys.broker_list(DEFAULT_QUEUE, NORMAL_PRIORITY)
THREAD = "chatqueue-publisher"


@pytest.fixture
def broker_client(redis_client, redis_url):
    """A client of the broker's database."""
    with redis.Redis.from_url(redis_url.removesuffix("/0") + "/1") as client:
        yield client


@pytest.fixture
def proxy(redis_url) -> Iterator[Proxy]:
    """All connections to the broker go through it."""
    proxy = Proxy(urlsplit(redis_url).port)
    yield proxy
    proxy.close()


@pytest.fixture
def broker_settings(settings, proxy) -> Settings:
    url = SecretStr(proxy.url.removesuffix("/0") + "/1")
    return settings.model_copy(update={"celery_broker_url": url})


@pytest.fixture
def publisher(broker_settings) -> Iterator[Publisher]:
    publisher = Publisher(app, broker_settings)
    yield publisher
    publisher.close(10)


def published(broker_client):
    """The messages at the broker, the first one first."""
    return [json.loads(raw) for raw in reversed(broker_client.lrange(LIST, 0, -1))]


def published_ids(broker_client):
    return [message["headers"]["id"] for message in published(broker_client)]


def test_messages_are_published_in_order_to_the_broker_of_the_settings(publisher, broker_client):
    """The broker is that of the app's settings, which need not be those of the environment."""
    job_ids = [f"job_{number}" for number in range(250)]
    for job_id in job_ids:
        publisher.publish(OutgoingMessage(job_id))

    until(lambda: len(published_ids(broker_client)) == len(job_ids))
    assert published_ids(broker_client) == job_ids
    assert publisher.count_messages(DEFAULT_QUEUE).result(10) == len(job_ids)


def test_a_message_carries_only_the_id(publisher, broker_client):
    """No prompt may reach a broker: the message has the id and no arguments."""
    publisher.publish(OutgoingMessage("job_1"))

    (message,) = until(lambda: published(broker_client))
    headers = message["headers"]
    assert (headers["id"], headers["task"], headers["ignore_result"]) == ("job_1", RUN_JOB, True)
    assert (headers["argsrepr"], headers["kwargsrepr"]) == ("()", "{}")


def left_to_recovery(caplog):
    return sum(int(count) for count in re.findall(r"messages_not_published count=(\d+)", caplog.text))


@pytest.mark.parametrize("broker_is", ["stalled", "refused"])
def test_a_submit_does_not_wait_for_the_broker(broker_is, store, broker_settings, broker_client, proxy):
    """The job is on record when the submit returns, while the broker still hangs. The message follows later."""
    submitter = Submitter(store, broker_settings)
    {"stalled": proxy.stall, "refused": proxy.refuse}[broker_is]()
    job_id = submitter.submit(ChatTask(kind="chat", message="hello")).job_id
    assert submitter.broker_state() == "unreachable"
    assert published_ids(broker_client) == []

    proxy.restore()
    assert until(lambda: published_ids(broker_client)) == [job_id]
    assert submitter.broker_state() == "reachable"
    submitter.close()


def test_a_submit_over_the_record_store_needs_no_publisher(store, settings):
    """Where Redis is the broker too, the record and the message are one write, and no thread is started."""
    submitter = Submitter(store, settings)
    submitter.submit(ChatTask(kind="chat", message="hello"))

    assert submitter.broker_state() == "record_store"
    assert not [thread for thread in threading.enumerate() if thread.name == THREAD]
    submitter.close()


@pytest.mark.slow
def test_messages_for_which_there_is_no_room_are_left_to_recovery(publisher, broker_client, proxy, caplog):
    """A broker that is away for long does not fill the memory of a process. Each message is published or counted."""
    total = MAX_WAITING_MESSAGES + 7
    proxy.stall()
    for number in range(total):
        publisher.publish(OutgoingMessage(f"job_{number}"))
    assert len(publisher._messages) <= MAX_WAITING_MESSAGES

    proxy.restore()
    until(lambda: not publisher._messages, 30)
    publisher.close(10)
    assert len(set(published_ids(broker_client))) + left_to_recovery(caplog) >= total
    assert left_to_recovery(caplog) >= 7


@pytest.mark.slow
def test_messages_that_count_as_lost_are_not_published(publisher, broker_client, proxy, caplog):
    """Recovery publishes a message that is five seconds late: a second one would only be ignored."""
    proxy.stall()
    publisher.publish(OutgoingMessage("job_late"))
    until(lambda: "messages_not_published count=1" in caplog.text, 30)
    proxy.restore()
    publisher.publish(OutgoingMessage("job_new"))

    assert until(lambda: published_ids(broker_client)) == ["job_new"]


@pytest.mark.slow
def test_an_outage_is_logged_once(publisher, proxy, broker_client, caplog):
    """One line when publishing begins to fail, with the reason, and one when it works again."""
    caplog.set_level("INFO")
    proxy.refuse()
    failures = 3
    publisher.publish(OutgoingMessage("job_1"))
    until(lambda: publisher._failures >= failures)
    proxy.restore()
    until(lambda: "broker_available" in caplog.text)

    assert caplog.text.count("broker_unavailable problem=unreachable reply=ConnectionError") == 1
    assert published_ids(broker_client) == ["job_1"]


def test_a_connection_that_was_dropped_while_idle_loses_no_message(publisher, proxy, broker_client, caplog):
    """Networks drop idle connections. The next message is published over a new one, without a line in the log."""
    publisher.publish(OutgoingMessage("job_1"))
    until(lambda: published_ids(broker_client))
    assert proxy.drop() > 0
    publisher.publish(OutgoingMessage("job_2"))

    until(lambda: published_ids(broker_client) == ["job_1", "job_2"])
    assert "broker_unavailable" not in caplog.text


def test_closing_publishes_what_waits_and_ends_the_thread(broker_settings, broker_client):
    """A process that is stopped leaves nothing to recovery if the broker works."""
    publisher = Publisher(app, broker_settings)
    for number in range(250):
        publisher.publish(OutgoingMessage(f"job_{number}"))
    publisher.close(30)

    assert len(published_ids(broker_client)) == 250
    assert not [thread for thread in threading.enumerate() if thread.name == THREAD]


def test_closing_does_not_wait_for_a_broker_that_hangs(broker_settings, proxy):
    """The process ends although the broker does not answer. The thread ends with it, or when its timeout is over."""
    proxy.stall()
    publisher = Publisher(app, broker_settings)
    publisher.publish(OutgoingMessage("job_1"))
    publisher.close(0.01)

    (thread,) = [thread for thread in threading.enumerate() if thread.name == THREAD]
    assert thread.daemon
    proxy.restore()
    thread.join(30)
    assert not thread.is_alive()


def test_a_forked_child_publishes_with_its_own_thread(redis_url, broker_client):
    """A fork copies neither the thread nor a usable connection: a server may load the app before it forks."""
    url = redis_url.removesuffix("/0") + "/1"
    program = f"""
import os
from jobs.settings import Settings
from tasks import app
from tasks.broker import OutgoingMessage
from tasks.publisher import Publisher
publisher = Publisher(app, Settings(REDIS_URL={redis_url!r}, CELERY_BROKER_URL={url!r}))
publisher.publish(OutgoingMessage("job_parent"))
while publisher.count_messages("chatqueue").result(10) == 0:
    pass  # the thread is idle when the process forks
child = os.fork()
publisher.publish(OutgoingMessage("job_child" if child == 0 else "job_parent_again"))
publisher.close(10)
if child == 0:
    os._exit(0)
os.waitpid(child, 0)
"""
    subprocess.run([sys.executable, "-c", program], cwd=PROJECT_ROOT, check=True, timeout=60)

    assert sorted(published_ids(broker_client)) == ["job_child", "job_parent", "job_parent_again"]
