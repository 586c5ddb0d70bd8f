"""Every way in which a document can be at fault, as one tree.

    DocumentError
    ├── UnreadableDocument        final: the same bytes would be refused again
    │   ├── EmptyDocument         empty_document        not one byte, or nothing but blanks
    │   ├── UnsupportedDocument   unsupported_document  neither PDF nor text, by its content
    │   ├── UnknownEncoding       unknown_encoding      text, but neither UTF-8 nor marked as UTF-16 or UTF-32
    │   ├── EncryptedDocument     encrypted_document    needs a password
    │   ├── DamagedDocument       damaged_document      the file is broken, or breaks the reader
    │   ├── NoPages               no_pages              a PDF of 0 pages
    │   ├── NoText                no_text               pages, but no text on any of them: scanned
    │   ├── DocumentTooLarge      document_too_large    more bytes than CHATQUEUE_DOCUMENT_MAX_BYTES
    │   ├── TooManyPages          too_many_pages        more pages than CHATQUEUE_DOCUMENT_MAX_PAGES
    │   ├── ExpandsTooMuch        expands_too_much      small in the file, beyond all bounds in memory
    │   └── TakesTooLong          takes_too_long        the reader was still busy when its time was up
    ├── ReadingInterrupted        reading_interrupted   the reading process ended early: worth another attempt
    ├── FilesUnavailable          files_unavailable     the files' disk or store fails: worth another attempt
    ├── ChunksUnavailable         chunks_unavailable    the chunks' disk or store fails: worth another attempt
    ├── StorageFull               storage_full          it has no room, or may not be written to: somebody must help
    ├── EmbeddingModelChanged     embedding_model_changed   kept with one model, asked with another
    └── DocumentsNotInstalled     documents_not_installed   the extra `chatqueue[documents]` is missing

No message holds a document's text. Messages are logged and shown.
"""

from typing import ClassVar, Final


class DocumentError(Exception):
    """The root. ``code`` is stable: clients may switch on it."""

    code: ClassVar[str] = "document_error"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class UnreadableDocument(DocumentError):
    code = "unreadable_document"


class EmptyDocument(UnreadableDocument):
    code = "empty_document"


class UnsupportedDocument(UnreadableDocument):
    code = "unsupported_document"


class UnknownEncoding(UnreadableDocument):
    code = "unknown_encoding"


class EncryptedDocument(UnreadableDocument):
    code = "encrypted_document"


class DamagedDocument(UnreadableDocument):
    code = "damaged_document"


class NoPages(UnreadableDocument):
    code = "no_pages"


class NoText(UnreadableDocument):
    code = "no_text"


class DocumentTooLarge(UnreadableDocument):
    code = "document_too_large"


class TooManyPages(UnreadableDocument):
    code = "too_many_pages"


class ExpandsTooMuch(UnreadableDocument):
    code = "expands_too_much"


class TakesTooLong(UnreadableDocument):
    code = "takes_too_long"


class ReadingInterrupted(DocumentError):
    code = "reading_interrupted"


class FilesUnavailable(DocumentError):
    code = "files_unavailable"

    def __init__(self, message: str = "the documents' store cannot be reached, or refuses; try again") -> None:
        super().__init__(message)


class ChunksUnavailable(DocumentError):
    code = "chunks_unavailable"

    def __init__(self, message: str = "the chunks' store cannot be reached, or refuses; try again") -> None:
        super().__init__(message)


class StorageFull(DocumentError):
    code = "storage_full"

    def __init__(self, message: str = "the documents' storage is full, or may not be written to") -> None:
        super().__init__(message)


class EmbeddingModelChanged(DocumentError):
    code = "embedding_model_changed"


class DocumentsNotInstalled(DocumentError):
    code = "documents_not_installed"

    def __init__(self, message: str = "documents need the extra: pip install 'chatqueue[documents]'") -> None:
        super().__init__(message)


# What the reading process may say of a document; it names the class by its code.
_READER_ERRORS: Final[tuple[type[DocumentError], ...]] = (*UnreadableDocument.__subclasses__(), DocumentsNotInstalled)
READER_ERRORS_BY_CODE: Final = {error_class.code: error_class for error_class in _READER_ERRORS}
