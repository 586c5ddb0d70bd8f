"""The two priorities of a job's message. A worker takes messages of high priority first.

A job is published with normal priority when a slot is free for it. republish.lua gives high priority to one whose
message was lost: it was next already.
"""

from typing import Final, Literal, TypeAlias

Priority: TypeAlias = Literal["normal", "high"]

# Celery's numbers. kombu's Redis transport keeps one list for each of 0, 3, 6 and 9, and reads the lowest first.
NORMAL_PRIORITY: Final = 3
HIGH_PRIORITY: Final = 0
