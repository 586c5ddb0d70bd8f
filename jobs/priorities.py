"""The two priorities of a job's message. A worker takes messages of high priority first.

A first attempt is published with normal priority, in the order of submission. A job that has waited once already gets
high priority: release.lua gives it to a retried or released job, republish.lua to one whose message was lost.
"""

from typing import Final, Literal, TypeAlias

Priority: TypeAlias = Literal["normal", "high"]

# Celery's numbers. kombu's Redis transport keeps one list for each of 0, 3, 6 and 9, and reads the lowest first.
NORMAL_PRIORITY: Final = 3
HIGH_PRIORITY: Final = 0
