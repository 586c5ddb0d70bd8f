"""All errors of documents/, as one tree.

    DocumentError
    ├── UnreadableDocument            final: the same file would be refused again
    │   ├── EmptyDocument             empty_document               no bytes, or only whitespace
    │   ├── UnsupportedDocument       unsupported_document         none of the supported types, by its content
    │   ├── UnknownEncoding           unknown_encoding             text that is not UTF-8 and declares nothing else
    │   ├── EncryptedDocument         encrypted_document           needs a password
    │   ├── WrongPassword             wrong_password             the given password does not open the document
    │   ├── DamagedDocument           damaged_document             the file is damaged, or crashes the reader
    │   ├── NoPages                   no_pages                     a PDF without pages
    │   ├── NoText                    no_text                      no page contains text, for example if all are scanned
    │   ├── GarbledText               garbled_text                 fonts do not identify their characters
    │   ├── DynamicForm               dynamic_form                 an XFA form, whose content is not in its pages
    │   ├── DocumentTooLarge          document_too_large           larger than CHATQUEUE_DOCUMENT_MAX_BYTES
    │   ├── TooManyPages              too_many_pages               more pages than CHATQUEUE_DOCUMENT_MAX_PAGES
    │   ├── ExpandedDocumentTooLarge  expanded_document_too_large  a small file that exceeds the limits when read
    │   └── ReadingTimedOut           reading_timed_out            not read within the time limit
    ├── ReadingInterrupted            reading_interrupted          the reading process ended early: retried
    ├── FilesUnavailable              files_unavailable            the disk or store of the files fails: retried
    ├── ChunksUnavailable             chunks_unavailable           the disk or store of the chunks fails: retried
    ├── StorageFull                   storage_full                 storage is full or not writable: an operator must act
    ├── EmbeddingModelChanged         embedding_model_changed      stored with one model, asked with another
    └── DocumentsNotInstalled         documents_not_installed      the extra `chatqueue[documents]` is missing

Messages are logged and shown to callers, so they never contain text of a document.
"""

from typing import ClassVar, Final


class DocumentError(Exception):
    """The root. ``code`` is stable, so clients may branch on it."""

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


class WrongPassword(UnreadableDocument):
    code = "wrong_password"


class DamagedDocument(UnreadableDocument):
    code = "damaged_document"


class NoPages(UnreadableDocument):
    code = "no_pages"


class NoText(UnreadableDocument):
    code = "no_text"


class GarbledText(UnreadableDocument):
    code = "garbled_text"


class DynamicForm(UnreadableDocument):
    code = "dynamic_form"


class DocumentTooLarge(UnreadableDocument):
    code = "document_too_large"


class TooManyPages(UnreadableDocument):
    code = "too_many_pages"


class ExpandedDocumentTooLarge(UnreadableDocument):
    code = "expanded_document_too_large"


class ReadingTimedOut(UnreadableDocument):
    code = "reading_timed_out"


class ReadingInterrupted(DocumentError):
    code = "reading_interrupted"


class FilesUnavailable(DocumentError):
    code = "files_unavailable"

    def __init__(self, message: str = "the storage of the documents' files is unavailable; try again") -> None:
        super().__init__(message)


class ChunksUnavailable(DocumentError):
    code = "chunks_unavailable"

    def __init__(self, message: str = "the storage of the documents' chunks is unavailable; try again") -> None:
        super().__init__(message)


class StorageFull(DocumentError):
    code = "storage_full"

    def __init__(self, message: str = "the documents' storage is full or not writable") -> None:
        super().__init__(message)


class EmbeddingModelChanged(DocumentError):
    code = "embedding_model_changed"


class DocumentsNotInstalled(DocumentError):
    code = "documents_not_installed"

    def __init__(self, message: str = "documents are not installed; run: pip install 'chatqueue[documents]'") -> None:
        super().__init__(message)


# The errors that the reading process may report, by the code in its message.
_READER_ERRORS: Final[tuple[type[DocumentError], ...]] = (*UnreadableDocument.__subclasses__(), DocumentsNotInstalled)
READER_ERRORS_BY_CODE: Final = {error_class.code: error_class for error_class in _READER_ERRORS}
