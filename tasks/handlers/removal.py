"""The removal of a deleted document's data. May run any number of times, also concurrently."""

from jobs.kinds.removal import RemovalAnswer, RemovalTask
from tasks.handlers.base import AttemptContext
from tasks.maintenance.document_cleanup import remove_document_data


async def run(context: AttemptContext[RemovalTask]) -> RemovalAnswer:
    """Raises AttemptError."""
    services, document_id = context.documents, context.request.document_id
    await remove_document_data(services.store, services.storage, document_id)
    return RemovalAnswer(document_id=document_id)
