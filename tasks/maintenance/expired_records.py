"""Expired records: Redis removes the record of an ended job by itself; its entries in the indexes are removed here.

Survives running twice, late or in two workers: removing an entry again changes nothing.
"""

import asyncio

from jobs import queries
from jobs.storage import keys, transitions
from tasks.maintenance.tick import MAX_JOBS_PER_TICK, Tick


async def clear_indexes(tick: Tick) -> None:
    job_ids = await tick.store.run(queries.expired_records(tick.now_ms, MAX_JOBS_PER_TICK))
    await asyncio.gather(*(_clear(tick, job_id) for job_id in job_ids))


async def _clear(tick: Tick, job_id: str) -> None:
    async with tick.isolated(keys.EXPIRY, job_id):
        if await tick.store.run(transitions.delete(job_id, None)) == "active":  # it has not ended: the entry is wrong
            await tick.put_off(keys.EXPIRY, job_id)
