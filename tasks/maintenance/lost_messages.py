"""Lost messages: a queued job gets a new message when its next attempt is due or its message was lost.

Survives running twice, late or in two workers: the transition publishes only for a job that is still queued and that
has had no message for a while. A surplus message is harmless: the claim decides. If publishing over another broker
fails, that message counts as lost and is published again.
"""

import asyncio
from typing import Final

from jobs import queries
from jobs.priorities import Priority
from jobs.storage import keys, transitions
from tasks import app
from tasks.maintenance.tick import MAX_JOBS_PER_TICK, Tick
from tasks.queue_message import messages_left

_PRIORITIES: Final[tuple[Priority, ...]] = ("high", "normal")


async def republish_messages(tick: Tick) -> None:
    await _republish(tick, await tick.store.run(queries.due_retries(tick.now_ms, MAX_JOBS_PER_TICK)))
    await _republish(tick, await _undelivered(tick))


async def _undelivered(tick: Tick) -> list[str]:
    """Queued jobs whose message was lost, those of high priority first."""
    queue_length = await _queue_length(tick)
    found = [
        await tick.store.run(transitions.undelivered(tick.message_template, priority, queue_length, MAX_JOBS_PER_TICK))
        for priority in _PRIORITIES
    ]
    return [job_id for job_ids in found for job_id in job_ids]


async def _queue_length(tick: Tick) -> int | None:
    """Messages that wait at another broker; None where Redis is the broker and counts them itself."""
    if tick.message_template.publishes_in_store:
        return None
    return await asyncio.to_thread(messages_left, app, tick.message_template.queue)


async def _republish(tick: Tick, job_ids: list[str]) -> None:
    for job_id in job_ids:
        async with tick.isolated(keys.WAITING, job_id):
            if await tick.store.run(transitions.republish(job_id, tick.message_template)) == "republished":
                await tick.publish(job_id)
