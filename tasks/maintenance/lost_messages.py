"""Lost messages: a queued job gets a new message when its next attempt is due or its message was lost.

Survives running twice, late or in two workers: the transition publishes only for a job that is still queued and that
has had no message for a while. A surplus message is harmless: the claim decides. If publishing over another broker
fails, that message counts as lost and is published again.
"""

from typing import Final

from jobs import queries
from jobs.priorities import Priority
from jobs.storage import keys, transitions
from tasks.maintenance.tick import MAX_JOBS_PER_TICK, Tick

_PRIORITIES: Final[tuple[Priority, ...]] = ("high", "normal")


async def republish_messages(tick: Tick) -> None:
    await _republish(tick, await tick.store.run(queries.due_retries(tick.now_ms, MAX_JOBS_PER_TICK)))
    await _republish(tick, await _undelivered(tick))


async def _undelivered(tick: Tick) -> list[str]:
    """Queued jobs whose message was lost, those of high priority first."""
    messages_left: int | None = None
    if not tick.message_template.publishes_in_store:
        messages_left = await tick.count_messages()
        if messages_left is None:
            return []  # nothing can be published anyway
    found = [
        await tick.store.run(transitions.undelivered(tick.message_template, priority, messages_left, MAX_JOBS_PER_TICK))
        for priority in _PRIORITIES
    ]
    return [job_id for job_ids in found for job_id in job_ids]


async def _republish(tick: Tick, job_ids: list[str]) -> None:
    for job_id in job_ids:
        async with tick.isolated(keys.WAITING, job_id):
            if await tick.store.run(transitions.republish(job_id, tick.message_template)) == "republished":
                tick.publish(job_id)
