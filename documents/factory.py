"""The rooms' furniture from the settings: where files and chunks are, and how documents are read."""

from documents.chunk_table import ChunkTable
from documents.chunking import ChunkSize
from documents.files import Files
from documents.reading import Reader, ReadingLimits
from jobs.settings import Settings

_MAX_CHARS = 10_000_000  # of one document: three thousand pages of print


def open_files(settings: Settings) -> Files:
    return Files(settings.documents_url, settings.data_dir / "documents")


async def open_chunks(settings: Settings) -> ChunkTable:
    root = settings.documents_url or str(settings.data_dir / "documents")
    return await ChunkTable.open(f"{root.rstrip('/')}/chunks")


def make_reader(settings: Settings) -> Reader:
    limits = ReadingLimits(
        max_pages=settings.document_max_pages,
        max_chars=_MAX_CHARS,
        memory_bytes=settings.document_memory_bytes,
        seconds=settings.document_read_seconds,
    )
    size = ChunkSize(settings.document_chunk_tokens, settings.document_chunk_overlap)
    return Reader(settings.document_read_concurrency, limits, size)
