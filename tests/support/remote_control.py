"""Celery's remote control as a stock client speaks it: one that knows nothing of us but where the broker is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from celery import Celery
from kombu import pools

REPLY_SECONDS = 10.0


@contextmanager
def stock_client(broker_url: str) -> Iterator[Celery]:
    app = Celery("stock", broker=broker_url, set_as_current=False)
    yield app
    app.close()
    pools.reset()  # kombu's, of the whole process


def revoke(app: Celery, task_ids: str | list[str], **options: Any) -> dict[str, str]:
    """By a broadcast, as Flower does; the only worker's reply."""
    (reply,) = app.control.revoke(task_ids, reply=True, limit=1, timeout=REPLY_SECONDS, **options)
    (result,) = reply.values()
    return result


def revoked_ids(app: Celery) -> list[str]:
    """What `inspect revoked` shows of the only worker."""
    (listed,) = app.control.inspect(limit=1, timeout=REPLY_SECONDS).revoked().values()
    return listed


@contextmanager
def revoked_events(app: Celery) -> Iterator[Callable[[], list[str]]]:
    """Call what this gives to see whose `task-revoked` events have come since the block began."""
    revoked: list[str] = []
    with app.connection_for_read() as connection:
        receiver = app.events.Receiver(
            connection, handlers={"task-revoked": lambda event: revoked.append(event["uuid"])}
        )
        with receiver.consumer_context(wakeup=False) as (consumer, _, _):

            def poll() -> list[str]:
                with suppress(TimeoutError):
                    consumer.drain_events(timeout=0.1)
                return revoked

            poll()  # kombu subscribes when it first reads
            yield poll
