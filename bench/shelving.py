"""Documents without an ingest: chunks and vectors by the table's own verb, records by the store's."""

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

from documents.factory import open_chunks
from documents.identity import new_document_id
from documents.models import Chunk, EmbeddingModel
from jobs.documents import NewDocument
from jobs.models import DEFAULT_TENANT
from jobs.settings import Settings
from jobs.storage import transitions
from jobs.storage.redis_client import connect
from jobs.storage.store import Store
from local.offline_model.embedding import DEFAULT_DIMENSIONS, embed

MOST_IN_ONE: Final = 2_000  # chunks of a document: a book of five hundred pages
FEWEST_DOCUMENTS: Final = 10
QUESTION_WORDS: Final = 6
_WORDS: Final = 110  # of a chunk, about as many as fit into CHATQUEUE_DOCUMENT_CHUNK_TOKENS
_VOCABULARY: Final = 20_000
_PAGE_CHUNKS: Final = 4


@dataclass(frozen=True)
class Shelf:
    """What was filled in, and questions that some chunk of it answers."""

    document_ids: list[str]
    questions: list[str]


@cache
def _vocabulary() -> list[str]:
    """Words as long as English ones, the most frequent first; the same in every run."""
    dice = random.Random(7)  # noqa: S311
    return ["".join(dice.choices("etaoinshrdlcumwfgypbvk", k=dice.randint(3, 10))) for _ in range(_VOCABULARY)]


@cache
def _vectors_of_words() -> np.ndarray:
    return np.array([embed(word, DEFAULT_DIMENSIONS) for word in _vocabulary()], np.float32)


@cache
def _shares() -> list[float]:
    """As often as words occur in a language: by Zipf."""
    return list(accumulate(1 / rank for rank in range(1, _VOCABULARY + 1)))


def fill(settings: Settings, count: int) -> Shelf:
    """So many chunks, in documents that can be asked."""
    each = min(MOST_IN_ONE, -(-count // FEWEST_DOCUMENTS))
    dice = random.Random(count)  # noqa: S311
    texts = [dice.choices(range(_VOCABULARY), cum_weights=_shares(), k=_WORDS) for _ in range(count)]
    batches = [texts[start : start + each] for start in range(0, count, each)]
    document_ids = [new_document_id() for _ in batches]
    asyncio.run(_keep(settings, document_ids, batches))
    store = Store(connect(settings))
    for document_id, batch in zip(document_ids, batches, strict=True):
        _record(store, settings, document_id, len(batch))
    store.close()
    return Shelf(document_ids, [_question(dice, text) for text in dice.sample(texts, min(count, 100))])


async def _keep(settings: Settings, document_ids: Sequence[str], batches: Sequence[Sequence[list[int]]]) -> None:
    table = await open_chunks(settings)
    model = EmbeddingModel(settings.document_embedding_model, DEFAULT_DIMENSIONS)
    for document_id, batch in zip(document_ids, batches, strict=True):
        chunks = [_chunk(index, words) for index, words in enumerate(batch)]
        await table.replace(document_id, DEFAULT_TENANT, model, chunks, [_vector(words) for words in batch])


def _chunk(index: int, words: list[int]) -> Chunk:
    text = " ".join(_vocabulary()[word] for word in words)
    return Chunk(index, index // _PAGE_CHUNKS + 1, 0, len(text), text)


def _vector(words: list[int]) -> bytes:
    """All but what the offline model would make of the text: the sum of its words', of length 1."""
    total = _vectors_of_words()[words].sum(axis=0)
    return array("f", total / np.linalg.norm(total)).tobytes()


def _question(dice: random.Random, words: list[int]) -> str:
    """The rarer words of a chunk; the commonest tell nothing, as in any language."""
    telling = sorted(words)[-_WORDS // 2 :]
    return "What of " + " ".join(_vocabulary()[word] for word in dice.sample(telling, QUESTION_WORDS)) + "?"


def _record(store: Store, settings: Settings, document_id: str, chunks: int) -> None:
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
    store.run(transitions.document.add(new))
    store.run(
        transitions.document.mark_ready(
            document_id,
            job_id,
            pages=-(-chunks // _PAGE_CHUNKS),
            chunks=chunks,
            no_text=(),
            damaged=(),
            embedding_model=settings.document_embedding_model,
        )
    )
