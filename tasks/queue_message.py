"""The message as Celery would send it.

Where Redis is broker and record store in one, the storage verbs push the message in the same step as the record, so
they need the message ready-made. It is not written by hand: Celery itself publishes it once, into kombu's in-memory
transport, and what arrived there becomes the template. A test compares it with what Celery sends over Redis.
"""

import json
from typing import Any, Final

from celery import Celery
from kombu.connection import Connection
from kombu.exceptions import ChannelError

from jobs.settings import Settings
from jobs.storage.keys import DEFAULT_QUEUE, HIGH_PRIORITY, NORMAL_PRIORITY
from jobs.storage.message_template import ID_PLACEHOLDER, TAG_PLACEHOLDER, MessageTemplate

RUN_JOB: Final = "chatqueue.run_job"  # the task's name: a worker silently discards one it does not know
_NO_SUCH_QUEUE: Final = 404  # not declared yet; kombu's Redis transport says it of every queue that is empty


def make_message_template(app: Celery, settings: Settings, queue: str = DEFAULT_QUEUE) -> MessageTemplate:
    """How to ring for jobs of this queue, given where the broker is."""
    if not settings.broker_is_record_store:
        return MessageTemplate(queue)
    return MessageTemplate(
        queue, _make_template(app, queue, NORMAL_PRIORITY), _make_template(app, queue, HIGH_PRIORITY)
    )


def publish_through_celery(app: Celery, job_id: str, queue: str, priority: int = NORMAL_PRIORITY) -> None:
    """Ring over a broker that is not the record store. Raises kombu.exceptions.OperationalError."""
    _send(app, job_id, queue, priority)


def messages_left(app: Celery, queue: str) -> int:
    """Messages that wait at the broker, those under way to a worker left out. Raises what the transport raises."""
    with app.connection_for_read() as connection, connection.channel() as channel:
        try:
            return int(app.amqp.queues[queue](channel).queue_declare(passive=True).message_count)
        except ChannelError as error:
            if int(error.reply_code) != _NO_SUCH_QUEUE:
                raise
            return 0


def _send(app: Celery, job_id: str, queue: str, priority: int, **options: Any) -> None:
    # A task sent by name does not know task_ignore_result: without the option Celery subscribes to the result first.
    app.send_task(RUN_JOB, task_id=job_id, queue=queue, priority=priority, ignore_result=True, **options)


def _make_template(app: Celery, queue: str, priority: int) -> str:
    message = _capture_message(app, queue, priority)
    message["properties"]["delivery_tag"] = TAG_PLACEHOLDER
    return json.dumps(message)


def _capture_message(app: Celery, queue: str, priority: int) -> dict[str, Any]:
    """What Celery's publish puts on a queue of a kombu transport, with the placeholder as the task's id."""
    with Connection("memory://") as connection, connection.channel() as channel:  # type: ignore[no-untyped-call]
        with app.amqp.Producer(channel) as producer:
            _send(app, ID_PLACEHOLDER, queue, priority, producer=producer)
        message: dict[str, Any] = channel._get(queue)  # noqa: SLF001  # the raw message, as Redis would store it
    return message
