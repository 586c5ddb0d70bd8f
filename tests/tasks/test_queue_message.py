"""The message that the Lua verbs push is the message that Celery would have sent."""

import json
import uuid

from jobs.storage import keys
from jobs.storage.keys import DEFAULT_QUEUE, HIGH_PRIORITY, NORMAL_PRIORITY
from tasks import app, run_job
from tasks.queue_message import RUN_JOB, make_message_template, messages_left, publish_through_celery
from tests.jobs.conftest import Driver


def _without_random_fields(message):
    message["properties"].pop("delivery_tag")
    message["properties"].pop("reply_to")
    message["headers"].pop("origin")
    return message


def test_the_bell_is_celerys_own_message(store, settings, redis_client, monkeypatch):
    """Same list, same message, but for what Celery makes up at random."""
    message_template = make_message_template(app, settings)
    driver = Driver(store, settings)
    driver.message_template = message_template
    job_id = driver.create()
    ours = json.loads(redis_client.rpop(message_template.normal_list))

    url = settings.record_url.get_secret_value()
    with app.connection_for_write(url) as connection, app.amqp.Producer(connection) as producer:
        sent = {"queue": DEFAULT_QUEUE, "priority": NORMAL_PRIORITY, "ignore_result": True}
        app.send_task(RUN_JOB, task_id=job_id, producer=producer, **sent)
    theirs = json.loads(redis_client.rpop(keys.broker_list(DEFAULT_QUEUE, NORMAL_PRIORITY)))

    assert ours["properties"]["delivery_tag"] != theirs["properties"]["delivery_tag"]
    assert _without_random_fields(ours) == _without_random_fields(theirs)


def test_the_lists_are_kombus(settings):
    """kombu keeps a list for each priority; ours carry its names."""
    with (
        app.connection_for_write(settings.record_url.get_secret_value()) as connection,
        connection.channel() as channel,
    ):
        for priority in (HIGH_PRIORITY, NORMAL_PRIORITY):
            assert keys.broker_list("q", priority) == channel._q_for_pri("q", priority)


def test_every_bell_has_a_delivery_tag_of_its_own(store, settings, redis_client):
    """Two messages for one job must not share a tag: kombu counts unacknowledged messages by it."""
    driver = Driver(store, settings)
    driver.message_template = make_message_template(app, settings)
    lease = driver.lease()
    redis_client.delete(driver.message_template.normal_list)
    driver.release(lease)
    driver.release(driver.lease(lease.job_id))

    messages = [json.loads(raw) for raw in redis_client.lrange(driver.message_template.high_list, 0, -1)]
    assert {message["headers"]["id"] for message in messages} == {lease.job_id}
    assert len({message["properties"]["delivery_tag"] for message in messages}) == 2


def test_the_worker_knows_the_task():
    """A mistyped name would be discarded silently."""
    assert run_job.run_job.name == RUN_JOB
    assert RUN_JOB in app.tasks


def test_an_empty_queue_of_another_broker_holds_no_bell(redis_client, redis_url, monkeypatch):
    """kombu's Redis transport knows no empty queue; to recovery that means: every message is lost, ring again."""
    monkeypatch.setattr(app, "connection_for_read", lambda: app.connection_for_write(redis_url))
    assert messages_left(app, DEFAULT_QUEUE) == 0

    redis_client.lpush(keys.broker_list(DEFAULT_QUEUE, NORMAL_PRIORITY), "a message", "another")
    assert messages_left(app, DEFAULT_QUEUE) == 2


def test_another_broker_gets_no_ready_made_bell(settings):
    elsewhere = settings.model_copy(update={"celery_broker_url": type(settings.record_url)("memory://")})

    assert not make_message_template(app, elsewhere).publishes_in_store


def test_a_bell_through_celery_carries_the_id_alone(settings, monkeypatch):
    """Over any other broker: the id, and no argument."""
    sent = {}
    monkeypatch.setattr(app, "send_task", lambda name, **options: sent.update(options, name=name))
    job_id = f"job_{uuid.uuid4().hex}"

    publish_through_celery(app, job_id, "q")
    assert sent == {
        "name": RUN_JOB,
        "task_id": job_id,
        "queue": "q",
        "priority": NORMAL_PRIORITY,
        "ignore_result": True,
    }
