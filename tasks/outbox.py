"""The outbox: jobs that the scripts have dispatched while another broker than Redis carries the messages.

A script cannot publish there. It lists the ids, and the process that ran it publishes them, or the leader within half a
second. A message that gets lost on the way is published again by recovery.
"""

from jobs.storage import transitions
from jobs.storage.async_store import AsyncStore
from jobs.storage.message_template import MessageTemplate
from tasks.broker import OutgoingMessage
from tasks.publisher import Publisher


class Outbox:
    """One for each worker process. Does nothing where Redis carries the messages."""

    def __init__(self, store: AsyncStore, message_template: MessageTemplate, publisher: Publisher) -> None:
        self._store = store
        self._message_template = message_template
        self._publisher = publisher

    async def publish(self) -> None:
        """Publish what is in it now. Raises what ``AsyncStore.run`` raises."""
        if self._message_template.publishes_in_store:
            return
        while job_ids := await self._store.run(transitions.take_outbox()):
            for job_id in job_ids:
                self._publisher.publish(OutgoingMessage(job_id, self._message_template.queue))
