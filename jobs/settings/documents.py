"""Documents: where they are kept, how they are read, what is searched."""

from typing import Annotated

from pydantic import BaseModel, Field

from jobs.settings.types import Count, ObjectStoreUrl, Seconds


class DocumentSettings(BaseModel):
    documents_url: ObjectStoreUrl | None = Field(
        default=None,
        description="Object store for documents, chunks and vectors: s3://bucket/path, gs:// or abfss://. "
        "Not set: a folder in CHATQUEUE_DATA_DIR.",
    )
    document_max_bytes: Count = Field(
        default=50 * 1024 * 1024, description="Maximum size of a document; a larger one gets 413."
    )
    documents_max_bytes: Count = Field(
        default=10 * 1024 * 1024 * 1024, description="Maximum size of all documents together; further uploads get 507."
    )
    document_upload_seconds: Seconds = Field(
        default=600, description="Maximum duration of an upload; a longer one gets 400."
    )
    document_max_pages: Count = Field(default=2_000, description="Maximum number of pages of a document.")
    document_max_chars: Count = Field(
        default=10_000_000,
        description="Maximum number of characters of a document's text; 10 million are about 3,000 printed pages.",
    )
    document_max_expanded_bytes: Count = Field(
        default=200 * 1024 * 1024,
        description="Maximum size of the text parts of an Office document or e-book, once they are decompressed.",
    )
    document_read_concurrency: Count = Field(
        default=2, description="Documents that a worker process reads concurrently."
    )
    document_read_seconds: Seconds = Field(default=120, description="Maximum time to extract the text of a document.")
    document_memory_bytes: Annotated[int, Field(ge=256 * 1024 * 1024)] = Field(
        default=1024 * 1024 * 1024, description="Memory limit of the process that reads a document."
    )
    ocr_languages: Annotated[str, Field(pattern=r"^\w+(/\w+)?(\+\w+(/\w+)?)*$", max_length=200)] | None = Field(
        default=None,
        description="Languages of scanned pages, as Tesseract names them: eng+deu. Their text is recognized with "
        "Tesseract, which must be installed where the workers run. Not set: no OCR.",
    )
    ocr_max_pages: Count = Field(default=200, description="Maximum number of pages of a document that go through OCR.")
    ocr_page_seconds: Seconds = Field(default=60, description="Maximum time for the OCR of one page.")
    document_chunk_tokens: Annotated[int, Field(ge=50, le=2_000)] = Field(
        default=200, description="Maximum length of a chunk, in approximate tokens."
    )
    document_chunk_overlap: Annotated[int, Field(ge=0)] = Field(
        default=40, description="Overlap of consecutive chunks, in approximate tokens."
    )
    document_context_tokens: Count = Field(
        default=2_000, description="Maximum length of all chunks in a prompt, in approximate tokens."
    )
    document_whole_tokens: Count = Field(
        default=8_000,
        description="Maximum length of chosen documents that are given to the model whole, for a summary or where no "
        "chunk matches, in approximate tokens. Longer documents are summarized in sections of this length, or sampled.",
    )
    document_min_similarity: Annotated[float, Field(ge=0, le=2)] | None = Field(
        default=None,
        description="Minimum cosine similarity of a chunk to a question. Not set: measured for the embedding model. "
        "Above 1: only keyword matches count.",
    )
