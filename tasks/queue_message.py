"""The Celery message for a job: as a template for the Lua transitions, and published through Celery.

Where Redis is both broker and record store, a transition writes the record and the message in one step, so it needs
the message ready-made. We do not write the message by hand: Celery publishes it once into kombu's in-memory transport,
and the captured message becomes the template. A test compares it with the message that Celery sends over Redis.
"""

import json
from typing import Any, Final

from celery import Celery
from kombu.connection import Connection
from kombu.entity import Queue
from kombu.messaging import Producer

from jobs.priorities import HIGH_PRIORITY, NORMAL_PRIORITY
from jobs.settings import Settings
from jobs.storage.keys import DEFAULT_QUEUE
from jobs.storage.message_template import ID_PLACEHOLDER, TAG_PLACEHOLDER, MessageTemplate

RUN_JOB: Final = "chatqueue.run_job"  # the task's name: a worker silently discards one it does not know


def make_message_template(app: Celery, settings: Settings, queue: str = DEFAULT_QUEUE) -> MessageTemplate:
    """The template for jobs of this queue. It contains no messages if another broker carries them."""
    if not settings.broker_is_record_store:
        return MessageTemplate(queue)
    return MessageTemplate(
        queue, _make_template(app, queue, NORMAL_PRIORITY), _make_template(app, queue, HIGH_PRIORITY)
    )


def send_message(app: Celery, job_id: str, queue: str | Queue, priority: int, producer: Producer) -> None:
    """Send the message with this producer, once. Raises the transport's errors."""
    # A task sent by name ignores the setting task_ignore_result; without the option Celery subscribes to its result.
    options = {"queue": queue, "priority": priority, "ignore_result": True, "retry": False}
    app.send_task(RUN_JOB, task_id=job_id, producer=producer, **options)


def _make_template(app: Celery, queue: str, priority: int) -> str:
    message = _capture_message(app, queue, priority)
    message["properties"]["delivery_tag"] = TAG_PLACEHOLDER
    return json.dumps(message)


def _capture_message(app: Celery, queue: str, priority: int) -> dict[str, Any]:
    """The message that Celery publishes for a task whose id is the placeholder."""
    with Connection("memory://") as connection, connection.channel() as channel:  # type: ignore[no-untyped-call]
        with app.amqp.Producer(channel) as producer:
            send_message(app, ID_PLACEHOLDER, queue, priority, producer)
        message: dict[str, Any] = channel._get(queue)  # noqa: SLF001  # the raw message, in the form that Redis stores
    return message
