"""The verbs of recovery alone. It also fails and releases jobs, for holders that are gone: see attempt.py."""

from typing import Final, Literal, TypeAlias

from jobs.storage import keys
from jobs.storage.commands import Command, Word, plain_command, script_command, text
from jobs.storage.message_template import Bell
from jobs.storage.transitions.encoding import milliseconds

LOST_BELL_SECONDS: Final = 5.0  # between a bell's leaving the broker and the claim lie milliseconds

Lane: TypeAlias = Literal["normal", "front"]


def ring(job_id: str, bell: Bell, lost_after_seconds: float = LOST_BELL_SECONDS) -> Command[str]:
    """Ring for a queued job whose wait is over, or whose bell is lost and that old. Answers rung, early or gone."""
    names = [
        keys.job(job_id),
        keys.WAITING,
        keys.SEQ,
        keys.bells_front(bell.queue),
        bell.front_list,
        keys.bells(bell.queue),
    ]
    return script_command("ring", names, [job_id, bell.front, milliseconds(lost_after_seconds)], text)


def unrung(bell: Bell, lane: Lane, bells_left: int | None, limit: int) -> Command[list[str]]:
    """Queued jobs of a lane that have no bell; ``bells_left`` in the queue of a broker that is not the store."""
    is_front = lane == "front"
    names = [
        keys.bells_front(bell.queue) if is_front else keys.bells(bell.queue),
        keys.claimed_front(bell.queue) if is_front else keys.claimed(bell.queue),
        bell.front_list if is_front else bell.normal_list,
    ]
    args: list[Word] = [-1 if bells_left is None else bells_left, limit]
    return script_command("unrung", names, args, lambda reply: [text(job_id) for job_id in reply])


def take_duty(worker: str, for_ms: int) -> Command[bool]:
    """Take or keep the recovery duties; answers whether this worker has them now."""
    return script_command("duty", [keys.DUTY], [worker, for_ms], lambda reply: reply == 1)


def refuse_submits(for_seconds: int) -> Command[None]:
    """Have every create refused for a while, with room left for the jobs that run to finish."""
    return plain_command("SET", keys.FULL, 1, "EX", for_seconds, read=lambda _: None)
