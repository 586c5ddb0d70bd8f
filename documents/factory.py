"""Builds the file storage, the chunk table and the reader from the settings."""

from documents.chunks.table import ChunkTable, CreationTurn, always
from documents.files import Files
from documents.reading.chunking import ChunkSize
from documents.reading.pdf_ocr import OcrLimits
from documents.reading.text_reader import ReadingLimits, TextReader
from documents.reading.unlocking import UnlockLimits
from jobs.document_id import is_document_id
from jobs.settings import Settings


def open_files(settings: Settings) -> Files:
    return Files(settings.documents_url, settings.data_dir / "documents", is_document_id)


async def open_chunk_table(settings: Settings, creation_turn: CreationTurn = always) -> ChunkTable:
    root = settings.documents_url or str(settings.data_dir / "documents")
    return await ChunkTable.open(f"{root.rstrip('/')}/chunks", creation_turn)


def make_reader(settings: Settings) -> TextReader:
    limits = ReadingLimits(
        max_pages=settings.document_max_pages,
        max_chars=settings.document_max_chars,
        max_expanded_bytes=settings.document_max_expanded_bytes,
        memory_bytes=settings.document_memory_bytes,
        seconds=settings.document_read_seconds,
        ocr=_ocr_limits(settings),
    )
    size = ChunkSize(settings.document_chunk_tokens, settings.document_chunk_overlap)
    return TextReader(settings.document_read_concurrency, limits, size)


def _ocr_limits(settings: Settings) -> OcrLimits | None:
    if settings.ocr_languages is None:
        return None
    return OcrLimits(settings.ocr_languages, settings.ocr_max_pages, settings.ocr_page_seconds)


def unlock_limits(settings: Settings) -> UnlockLimits:
    return UnlockLimits(
        settings.document_memory_bytes, settings.document_read_seconds, max_bytes=2 * settings.document_max_bytes
    )
