"""The message: the Celery message that tells workers of a job. It carries the id and no content."""

from dataclasses import dataclass, field
from typing import Final

from jobs.storage import keys

ID_PLACEHOLDER: Final = "{id}"
TAG_PLACEHOLDER: Final = "{tag}"


@dataclass(frozen=True)
class MessageTemplate:
    """How to publish for jobs of one queue.

    Where Redis is the broker too, ``normal`` and ``high`` are the ready-made messages in which the Lua verbs fill in
    the id and the delivery tag, so that the record and its message are one write. Elsewhere they are empty, and the
    caller publishes through Celery after the write.
    """

    queue: str
    normal: str = field(default="", repr=False)
    high: str = field(default="", repr=False)

    @property
    def publishes_in_store(self) -> bool:
        return bool(self.normal)

    @property
    def normal_list(self) -> str:
        return keys.broker_list(self.queue, keys.NORMAL_PRIORITY)

    @property
    def high_list(self) -> str:
        return keys.broker_list(self.queue, keys.HIGH_PRIORITY)
