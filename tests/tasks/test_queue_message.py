"""The message that the Lua transitions push is the message that Celery would have sent."""

import json

from jobs.priorities import HIGH_PRIORITY, NORMAL_PRIORITY
from jobs.storage import keys
from jobs.storage.keys import DEFAULT_QUEUE
from tasks import app, run_job
from tasks.queue_message import RUN_JOB, make_message_template
from tests.jobs.conftest import Driver


def _without_random_fields(message):
    message["properties"].pop("delivery_tag")
    message["properties"].pop("reply_to")
    message["headers"].pop("origin")
    return message


def test_the_template_is_celerys_own_message(store, settings, redis_client):
    """Our message is pushed to the same list and equals Celery's, except for the random fields."""
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


def test_the_lists_have_kombus_names(settings):
    """kombu keeps one list for each priority; a message in any other list would never be taken."""
    with (
        app.connection_for_write(settings.record_url.get_secret_value()) as connection,
        connection.channel() as channel,
    ):
        for priority in (HIGH_PRIORITY, NORMAL_PRIORITY):
            assert keys.broker_list("q", priority) == channel._q_for_pri("q", priority)


def test_every_message_has_its_own_delivery_tag(store, settings, redis_client):
    """Two messages for one job must not share a tag: kombu counts unacknowledged messages by tag."""
    driver = Driver(store, settings)
    driver.message_template = make_message_template(app, settings)
    driver.report_worker()
    lease = driver.lease()
    redis_client.delete(driver.message_template.normal_list)
    driver.release(lease)
    driver.release(driver.lease(lease.job_id))

    messages = [json.loads(raw) for raw in redis_client.lrange(driver.message_template.normal_list, 0, -1)]
    assert {message["headers"]["id"] for message in messages} == {lease.job_id}
    assert len({message["properties"]["delivery_tag"] for message in messages}) == 2


def test_the_task_is_registered_under_the_published_name():
    """A worker silently discards a message for a task name that it does not know."""
    assert run_job.run_job.name == RUN_JOB
    assert RUN_JOB in app.tasks


def test_another_broker_gets_no_message_template(settings):
    """A script in Redis cannot write to another broker, so the message must be published through Celery."""
    other_broker_settings = settings.model_copy(update={"celery_broker_url": type(settings.record_url)("memory://")})

    assert not make_message_template(app, other_broker_settings).publishes_in_store
