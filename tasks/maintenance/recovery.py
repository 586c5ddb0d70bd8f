"""Recovery: twice a second the leader runs every maintenance task of jobs.

A task asks Redis for the jobs that may need it and sends one guarded transition for each. The transition refuses a
job that has changed since. So a task that runs twice, late or in two workers does no harm.
"""

from typing import Final

from jobs import queries
from jobs.hazard_log import HazardLog
from jobs.settings import Settings
from jobs.storage import transitions
from jobs.storage.async_store import AsyncStore
from jobs.storage.message_template import MessageTemplate
from jobs.storage.server_info import server_info
from tasks.maintenance import expired_leases, expired_records, lost_messages, memory_guard, time_limits
from tasks.maintenance.ghosts import GhostSweep
from tasks.maintenance.leader import run_while_leader
from tasks.maintenance.queue_audit import QueueAudit, configuration_command
from tasks.maintenance.tick import Tick
from tasks.publisher import Publisher

_TICK_SECONDS: Final = 0.5
_TASKS: Final = (
    memory_guard.refuse_submits_when_full,
    time_limits.end_overdue_jobs,
    expired_leases.recover_jobs,
    lost_messages.republish_messages,
    expired_records.clear_indexes,
)


class Recovery:
    """One for each worker process; ``worker`` is its name in the leader lock."""

    def __init__(
        self,
        worker: str,
        store: AsyncStore,
        message_template: MessageTemplate,
        publisher: Publisher,
        settings: Settings,
    ) -> None:
        self._worker = worker
        self._store = store
        self._message_template = message_template
        self._settings = settings
        self._ghost_sweep = GhostSweep(message_template.queue)
        self._queue_audit = QueueAudit(message_template.queue)
        self._publisher = publisher
        self._hazards = HazardLog(settings.durability)

    async def run_forever(self) -> None:
        await self._store.run(configuration_command(self._settings))
        self._hazards.look(await self._store.run(server_info()))
        await run_while_leader(self._worker, self._store, "recovery", self.tick, _TICK_SECONDS)

    async def tick(self) -> None:
        """Run every task once, in order. A task that raises ends the tick."""
        now_ms = await self._store.run(queries.server_time_ms())
        server = await self._store.run(server_info())
        self._hazards.look(server)
        primary_seconds = await self._store.run(transitions.note_primary(server.run_id))
        tick = Tick(
            self._store, self._message_template, self._publisher, self._settings, now_ms, server, primary_seconds
        )
        for run_task in (*_TASKS, self._queue_audit.run, self._ghost_sweep.drop_ghosts):
            await run_task(tick)
