"""Builds the file storage, the chunk table and the reader from the settings."""

from documents.chunks.table import ChunkTable, CreationTurn, always
from documents.chunks.writer import ChunkWriter
from documents.files import Files
from documents.page_texts import PageTexts
from documents.reading.chunking import ChunkSize
from documents.reading.page_viewer import PageViewer
from documents.reading.pdf_ocr import OcrLimits
from documents.reading.text_reader import ReadingLimits, TextReader
from documents.reading.unlocking import UnlockLimits
from jobs.document_id import is_document_id
from jobs.settings import Settings


def open_files(settings: Settings) -> Files:
    return Files(settings.documents_url, settings.data_dir / "documents", is_document_id)


def open_page_texts(settings: Settings) -> PageTexts:
    return PageTexts(settings.documents_url, settings.data_dir / "documents", is_document_id)


async def open_chunk_table(settings: Settings, creation_turn: CreationTurn = always) -> ChunkTable:
    return await ChunkTable.open(_chunks_url(settings), creation_turn)


def make_chunk_writer(settings: Settings, creation_turn: CreationTurn = always) -> ChunkWriter:
    return ChunkWriter(_chunks_url(settings), creation_turn)


def _chunks_url(settings: Settings) -> str:
    root = settings.documents_url or str(settings.data_dir / "documents")
    return f"{root.rstrip('/')}/chunks"


def make_reader(settings: Settings) -> TextReader:
    size = ChunkSize(settings.document_chunk_tokens, settings.document_chunk_overlap)
    return TextReader(settings.document_read_concurrency, _limits(settings), size)


def make_viewer(settings: Settings) -> PageViewer:
    return PageViewer(settings.document_read_concurrency, _limits(settings))


def _limits(settings: Settings) -> ReadingLimits:
    return ReadingLimits(
        max_pages=settings.document_max_pages,
        max_chars=settings.document_max_chars,
        max_expanded_bytes=settings.document_max_expanded_bytes,
        memory_bytes=settings.document_memory_bytes,
        seconds=settings.document_read_seconds,
        ocr=_ocr_limits(settings),
    )


def _ocr_limits(settings: Settings) -> OcrLimits | None:
    if settings.ocr_languages is None:
        return None
    return OcrLimits(settings.ocr_languages, settings.ocr_max_pages, settings.ocr_page_seconds)


def unlock_limits(settings: Settings) -> UnlockLimits:
    return UnlockLimits(
        settings.document_memory_bytes, settings.document_read_seconds, max_bytes=2 * settings.document_max_bytes
    )
