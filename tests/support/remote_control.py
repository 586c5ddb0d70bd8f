"""Celery's remote control, used by a stock Celery client that is configured with the broker's URL only."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from celery import Celery
from kombu import pools

from tests.support.waiting import until

REPLY_SECONDS = 10.0


@contextmanager
def stock_client(broker_url: str) -> Iterator[Celery]:
    """A Celery app without any of our configuration."""
    app = Celery("stock", broker=broker_url, set_as_current=False)
    yield app
    app.close()
    pools.reset()  # kombu keeps its connection pools per process


def revoke(app: Celery, task_ids: str | list[str], **options: Any) -> dict[str, str]:
    """Broadcast a revoke, as Flower does. Returns the reply of the only worker.

    It is sent again if nobody replies: a worker that has just started may not hear broadcasts yet.
    """
    send = partial(app.control.revoke, task_ids, reply=True, limit=1, timeout=REPLY_SECONDS, **options)
    (reply,) = until(send, 3 * REPLY_SECONDS)
    (result,) = reply.values()
    return result


def revoked_ids(app: Celery) -> list[str]:
    """The ids that `inspect revoked` lists for the only worker."""
    (ids,) = app.control.inspect(limit=1, timeout=REPLY_SECONDS).revoked().values()
    return ids


@contextmanager
def revoked_events(app: Celery) -> Iterator[Callable[[], list[str]]]:
    """Yields a function that returns the ids of all `task-revoked` events since the block began."""
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

            poll()  # kombu subscribes at the first read
            yield poll
