"""Converts chunks to rows of a LanceDB table and back. The only module that names the columns.

key          document id and chunk index; the primary key, by which Lance detects two writers of one document
search_text  the tokens for full-text search (see documents/words.py), after SEARCH_TEXT_MARK
vector       float32, one per dimension of the model; the schema's metadata contains the model's name
"""

from collections.abc import Collection, Sequence
from typing import Any, Final

import pyarrow as pa
from lancedb.expr import Expr, col, lit

from documents.models import Chunk, EmbeddingModel
from documents.text import search_tokens

READ_COLUMNS: Final = ["key", "document_id", "index", "page", "start", "end", "text", "vector"]
# First token of a search text. Rows without it were written by a version that cut words in another way.
SEARCH_TEXT_MARK: Final = "~3"
POSITION_COLUMNS: Final = ["document_id", "index", "page", "start", "end"]
_MODEL_KEY: Final = b"embedding_model"
_PRIMARY_KEY: Final = {"lance-schema:unenforced-primary-key": "true"}  # Lance's metadata key

_KEY: Final = pa.field("key", pa.string(), nullable=False, metadata=_PRIMARY_KEY)
_TEXT: Final = pa.field("text", pa.string(), nullable=False)
_SEARCH_TEXT: Final = pa.field("search_text", pa.string(), nullable=False)


def chunk_schema(model: EmbeddingModel) -> pa.Schema:
    return pa.schema(
        [
            _KEY,
            pa.field("document_id", pa.string(), nullable=False),
            pa.field("tenant", pa.string(), nullable=False),
            pa.field("index", pa.int32(), nullable=False),
            pa.field("page", pa.int32(), nullable=False),
            pa.field("start", pa.int32(), nullable=False),
            pa.field("end", pa.int32(), nullable=False),
            _TEXT,
            _SEARCH_TEXT,
            pa.field("vector", pa.list_(pa.float32(), model.dimensions), nullable=False),
        ],
        metadata={_MODEL_KEY: str(model)},
    )


def stored_model(schema: pa.Schema) -> str:
    return str(schema.metadata[_MODEL_KEY].decode())


def build_rows(
    document_id: str, tenant: str, model: EmbeddingModel, chunks: Sequence[Chunk], vectors: Sequence[bytes]
) -> pa.Table:
    """Raises ValueError if a chunk has no vector, or if a vector has the wrong length."""
    if len(chunks) != len(vectors) or any(len(vector) != 4 * model.dimensions for vector in vectors):
        raise ValueError(f"each chunk needs one vector of {model}")
    schema = chunk_schema(model)
    flat = pa.Array.from_buffers(pa.float32(), len(chunks) * model.dimensions, [None, pa.py_buffer(b"".join(vectors))])
    columns = {
        "key": [_key(document_id, chunk.index) for chunk in chunks],
        "document_id": [document_id] * len(chunks),
        "tenant": [tenant] * len(chunks),
        "index": [chunk.index for chunk in chunks],
        "page": [chunk.page for chunk in chunks],
        "start": [chunk.start for chunk in chunks],
        "end": [chunk.end for chunk in chunks],
        "text": [chunk.text for chunk in chunks],
        "search_text": [to_search_text(chunk.text) for chunk in chunks],
        "vector": pa.FixedSizeListArray.from_arrays(flat, model.dimensions),
    }
    return pa.table(columns, schema=schema)


def to_search_text(text: str) -> str:
    return " ".join([SEARCH_TEXT_MARK, *search_tokens(text)])


def renew_search_texts(rows: pa.RecordBatch) -> pa.Table:
    """The columns of the rows that change, and those that identify them."""
    search_texts = [to_search_text(text) for text in rows["text"].to_pylist()]
    schema = pa.schema([_KEY, _TEXT, _SEARCH_TEXT])
    return pa.table({"key": rows["key"], "text": rows["text"], "search_text": search_texts}, schema=schema)


def row_to_chunk(row: dict[str, Any]) -> Chunk:
    return Chunk(row["index"], row["page"], row["start"], row["end"], row["text"])


def _key(document_id: str, index: int) -> str:
    return f"{document_id}/{index:06}"


def keys_filter(chunks: Collection[tuple[str, int]]) -> Expr:
    """For chunks given by document and index."""
    return col("key").isin(sorted(_key(document_id, index) for document_id, index in chunks))


def document_filter(document_id: str) -> Expr:
    return col("document_id") == lit(document_id)


def tenant_filter(tenant: str) -> Expr:
    return col("tenant") == lit(tenant)


def documents_filter(document_ids: Sequence[str]) -> Expr:
    return col("document_id").isin(document_ids)
