"""Creates documents without an ingest: chunks and vectors in the chunk table, records by storage transitions."""

import asyncio
import random
import uuid
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import Final

import numpy as np

from documents.factory import open_chunk_table
from documents.models import Chunk, EmbeddingModel
from jobs.document_id import new_document_id
from jobs.documents import NewDocument
from jobs.settings import Settings
from jobs.storage import transitions
from jobs.storage.redis_client import connect
from jobs.storage.sync_store import Store
from jobs.tenant import DEFAULT_TENANT
from local.offline_model.embedding import DEFAULT_DIMENSIONS, embed

MAX_CHUNKS_PER_DOCUMENT: Final = 2_000  # a book of five hundred pages
MIN_DOCUMENTS: Final = 10
QUESTION_WORDS: Final = 6
_WORDS_PER_CHUNK: Final = 110  # about as many as fit into CHATQUEUE_DOCUMENT_CHUNK_TOKENS
_VOCABULARY_SIZE: Final = 20_000
_CHUNKS_PER_PAGE: Final = 4


@dataclass(frozen=True)
class Corpus:
    """The documents that were created, and questions that a chunk of them answers."""

    document_ids: list[str]
    questions: list[str]


@cache
def _vocabulary() -> list[str]:
    """Random words as long as English ones, the most frequent first; the same in every run."""
    rng = random.Random(7)  # noqa: S311
    return ["".join(rng.choices("etaoinshrdlcumwfgypbvk", k=rng.randint(3, 10))) for _ in range(_VOCABULARY_SIZE)]


@cache
def _word_vectors() -> np.ndarray:
    return np.array([embed(word, DEFAULT_DIMENSIONS) for word in _vocabulary()], np.float32)


@cache
def _zipf_weights() -> list[float]:
    """Cumulative word frequencies by Zipf's law, as in natural language."""
    return list(accumulate(1 / rank for rank in range(1, _VOCABULARY_SIZE + 1)))


def create_corpus(settings: Settings, count: int) -> Corpus:
    """Create `count` chunks, in documents that are ready to be searched."""
    chunks_per_document = min(MAX_CHUNKS_PER_DOCUMENT, -(-count // MIN_DOCUMENTS))
    rng = random.Random(count)  # noqa: S311
    texts = [
        rng.choices(range(_VOCABULARY_SIZE), cum_weights=_zipf_weights(), k=_WORDS_PER_CHUNK) for _ in range(count)
    ]
    batches = [texts[start : start + chunks_per_document] for start in range(0, count, chunks_per_document)]
    document_ids = [new_document_id() for _ in batches]
    asyncio.run(_store_chunks(settings, document_ids, batches))
    store = Store(connect(settings))
    for document_id, batch in zip(document_ids, batches, strict=True):
        _store_record(store, settings, document_id, len(batch))
    store.close()
    return Corpus(document_ids, [_question(rng, text) for text in rng.sample(texts, min(count, 100))])


async def _store_chunks(
    settings: Settings, document_ids: Sequence[str], batches: Sequence[Sequence[list[int]]]
) -> None:
    table = await open_chunk_table(settings)
    model = EmbeddingModel(settings.document_embedding_model, DEFAULT_DIMENSIONS)
    for document_id, batch in zip(document_ids, batches, strict=True):
        chunks = [_chunk(index, words) for index, words in enumerate(batch)]
        await table.replace(document_id, DEFAULT_TENANT, model, chunks, [_vector(words) for words in batch])


def _chunk(index: int, words: list[int]) -> Chunk:
    text = " ".join(_vocabulary()[word] for word in words)
    return Chunk(index, index // _CHUNKS_PER_PAGE + 1, 0, len(text), text)


def _vector(words: list[int]) -> bytes:
    """Nearly the offline model's vector of the text: the sum of the vectors of its words, normalised to length 1."""
    total = _word_vectors()[words].sum(axis=0)
    return array("f", total / np.linalg.norm(total)).tobytes()


def _question(rng: random.Random, words: list[int]) -> str:
    """A question of rarer words of a chunk: frequent words do not distinguish chunks, as in any language."""
    rare_words = sorted(words)[-_WORDS_PER_CHUNK // 2 :]
    return "What of " + " ".join(_vocabulary()[word] for word in rng.sample(rare_words, QUESTION_WORDS)) + "?"


def _store_record(store: Store, settings: Settings, document_id: str, chunks: int) -> None:
    job_id = f"job_{uuid.uuid4().hex}"
    new = NewDocument(
        document_id=document_id,
        tenant=DEFAULT_TENANT,
        job_id=job_id,
        filename=f"{document_id}.pdf",
        kind="pdf",
        size=chunks,
        sha256=uuid.uuid4().hex * 2,
    )
    store.run(transitions.document.add(new, settings.documents_max_bytes))
    store.run(
        transitions.document.mark_ready(
            document_id,
            job_id,
            pages=-(-chunks // _CHUNKS_PER_PAGE),
            chunks=chunks,
            no_text=(),
            damaged=(),
            embedding_model=settings.document_embedding_model,
        )
    )
