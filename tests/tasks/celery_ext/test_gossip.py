"""Gossip ends quietly with its lost connection: Celery's would log a traceback at each failover of Redis."""

from redis.exceptions import ConnectionError as RedisConnectionError

from tasks.celery_ext.consumer import Gossip
from tests.support.fakes import fake


class LostChannel:
    """A channel whose server refuses the commands that would clean up."""

    is_closed = False

    def close(self):
        self.is_closed = True
        raise RedisConnectionError("READONLY")


def test_a_refusal_while_it_closes_is_ignored_after_its_connection_is_gone():
    """Celery's consumer has dropped the connection before it stops its steps."""
    channel = LostChannel()
    step = Gossip.__new__(Gossip)
    step.consumers = [fake(cancel=channel.close, channel=channel)]
    step.stop(fake(connection=None, connection_errors=(RedisConnectionError,), channel_errors=()))

    assert channel.is_closed
