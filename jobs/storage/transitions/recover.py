"""The verbs of recovery alone. It also fails and releases jobs, for holders that are gone: see attempt.py."""

from typing import Final, Literal, TypeAlias

from jobs.storage import keys
from jobs.storage.commands import Argument, Command, plain_command, script_command, text
from jobs.storage.message_template import MessageTemplate
from jobs.storage.transitions.encoding import milliseconds

LOST_MESSAGE_SECONDS: Final = 5.0  # between a message's leaving the broker and the claim lie milliseconds

Priority: TypeAlias = Literal["normal", "high"]


def republish(
    job_id: str, message_template: MessageTemplate, lost_after_seconds: float = LOST_MESSAGE_SECONDS
) -> Command[str]:
    """Ring for a queued job whose wait is over, or whose message is lost and that old. Answers republished, early or
    gone.
    """
    names = [
        keys.job(job_id),
        keys.WAITING,
        keys.SEQ,
        keys.messages_high(message_template.queue),
        message_template.high_list,
        keys.messages(message_template.queue),
    ]
    return script_command("republish", names, [job_id, message_template.high, milliseconds(lost_after_seconds)], text)


def undelivered(
    message_template: MessageTemplate, priority: Priority, messages_left: int | None, limit: int
) -> Command[list[str]]:
    """Queued jobs of a priority that have no message; ``messages_left`` in the queue of a broker that is not the
    store.
    """
    is_high = priority == "high"
    names = [
        keys.messages_high(message_template.queue) if is_high else keys.messages(message_template.queue),
        keys.claimed_high(message_template.queue) if is_high else keys.claimed(message_template.queue),
        message_template.high_list if is_high else message_template.normal_list,
    ]
    args: list[Argument] = [-1 if messages_left is None else messages_left, limit]
    return script_command("undelivered", names, args, lambda reply: [text(job_id) for job_id in reply])


def become_leader(worker: str, for_ms: int) -> Command[bool]:
    """Take or keep the recovery duties; answers whether this worker has them now."""
    return script_command("leader", [keys.LEADER], [worker, for_ms], lambda reply: reply == 1)


def refuse_submits(for_seconds: int) -> Command[None]:
    """Have every create refused for a while, with room left for the jobs that run to finish."""
    return plain_command("SET", keys.FULL, 1, "EX", for_seconds, read=lambda _: None)
