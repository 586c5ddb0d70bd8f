"""The services for attempts that work on documents."""

from dataclasses import dataclass, field

from jobs.settings import Settings
from jobs.storage.async_store import AsyncStore
from tasks.document_storage import DocumentStorage
from tasks.governor import Governor
from tasks.provider.providers import ModelCalls


@dataclass(frozen=True)
class DocumentServices:
    """One for each worker process, on its event loop."""

    settings: Settings
    store: AsyncStore
    storage: DocumentStorage
    provider: ModelCalls  # embeds the chunks of an ingest
    governor: Governor
    measured_similarities: dict[str, float] = field(default_factory=dict)  # minimum by embedding model
