"""The Celery message of a job: a claim check, which carries the job's id and no content."""

from dataclasses import dataclass, field
from typing import Final

from jobs.priorities import HIGH_PRIORITY, NORMAL_PRIORITY
from jobs.storage import keys

ID_PLACEHOLDER: Final = "{id}"
TAG_PLACEHOLDER: Final = "{tag}"


@dataclass(frozen=True)
class MessageTemplate:
    """The messages of one queue, by priority.

    When Redis is the broker too, ``normal`` and ``high`` are complete messages except for the id and the delivery tag,
    which the Lua scripts fill in: the record and its message are one write. With another broker both are empty, and
    the caller publishes through Celery after the write.
    """

    queue: str
    normal: str = field(default="", repr=False)
    high: str = field(default="", repr=False)

    @property
    def publishes_in_store(self) -> bool:
        return bool(self.normal)

    @property
    def normal_list(self) -> str:
        return keys.broker_list(self.queue, NORMAL_PRIORITY)

    @property
    def high_list(self) -> str:
        return keys.broker_list(self.queue, HIGH_PRIORITY)
