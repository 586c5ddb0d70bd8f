"""The chunk table: one complete set of chunks per document, despite concurrent writers and killed processes."""

import asyncio
import multiprocessing
import os
import random
import re
import time
from contextlib import asynccontextmanager
from functools import partial
from multiprocessing.process import BaseProcess

import pytest

from documents.chunks.table import ChunkTable
from documents.models import Chunk, EmbeddingModel
from jobs.settings import Settings
from jobs.storage.async_store import AsyncStore
from tasks.document_storage import creation_turn
from tests.documents.conftest import MODEL, vector

TEXTS = [
    "The lighthouse at the northern cape was built in 1847.",
    "Its lamp burns whale oil and is lit at dusk.",
    "The keeper has a cat by the name of Ahab.",
    "Supplies arrive by boat on the first Monday of the month.",
]


def chunks_of(texts) -> list[Chunk]:
    return [Chunk(index, index + 1, 0, len(text), text) for index, text in enumerate(texts)]


async def put(table: ChunkTable, document_id: str = "doc_a", tenant: str = "t", texts=TEXTS, model=MODEL) -> None:
    await table.replace(document_id, tenant, model, chunks_of(texts), [vector(text) for text in texts])


async def ask(table: ChunkTable, question: str, tenant: str = "t", ids=None, model=MODEL):
    return await table.search(question, vector(question), model, tenant, ids)


def test_storing_a_document_twice_leaves_one_set_of_chunks(with_table):
    """A repeated ingest must not leave duplicates."""

    async def twice(table):
        await put(table)
        await put(table)
        return await table.count("doc_a")

    assert with_table(twice) == len(TEXTS)


def test_a_document_that_became_shorter_loses_its_old_chunks(with_table):
    """Replacing a document also deletes chunks with higher indexes, and no chunks of other documents."""

    async def shorten(table):
        await put(table)
        await put(table, "doc_b")
        await put(table, texts=TEXTS[:1])
        return await table.count("doc_a"), await table.count("doc_b")

    assert with_table(shorten) == (1, len(TEXTS))


def test_the_best_chunk_comes_first_with_its_position(with_table):
    """A citation needs the document, page and span of the chunk."""

    async def find(table):
        await put(table)
        return await ask(table, "What is the name of the keeper's cat?")

    best = with_table(find)[0]
    assert (best.document_id, best.chunk) == ("doc_a", chunks_of(TEXTS)[2])
    assert best.similarity > 0.2


def test_a_rare_word_is_found_regardless_of_its_vector(with_table):
    """Names and numbers have no meaning that a vector captures, so full text is searched as well."""

    async def find(table):
        filler = [f"Filler number {number} speaks of the keeper and the lamp." for number in range(200)]
        await put(table, "doc_b", texts=[*filler, "Part code ZX81Q."])
        unrelated_vector = vector("keeper lamp")
        return await table.search("ZX81Q", unrelated_vector, MODEL, "t")

    assert "Part code ZX81Q." in [hit.chunk.text for hit in with_table(find)[:3]]


QUERIES = ['"', "a AND (b OR", "*", "'; DROP TABLE x", "text:lamp^9", "\0", "the of and", "?"]


@pytest.mark.parametrize("question", QUERIES)
def test_a_question_is_never_parsed_as_a_query_language(with_table, question):
    """Quotes, operators and SQL in a question neither fail the search nor change its meaning."""

    async def find(table):
        await put(table)
        return await ask(table, question)

    assert with_table(find) is not None


def test_a_search_never_finds_chunks_of_another_tenant_or_document(with_table):
    """The filters hold also for an empty list of documents and for a tenant with a quote in its name."""

    async def find(table):
        await put(table, "doc_a", "t")
        await put(table, "doc_b", "t")
        await put(table, "doc_c", "it's")
        return [
            {hit.document_id for hit in await ask(table, "lamp", tenant, ids)}
            for tenant, ids in [("t", None), ("t", ["doc_b"]), ("t", ["doc_c"]), ("it's", None), ("t", []), ("x", None)]
        ]

    assert with_table(find) == [{"doc_a", "doc_b"}, {"doc_b"}, set(), {"doc_c"}, set(), set()]


def test_each_tenant_has_a_table_of_its_own(with_table, monkeypatch):
    """A search whose filter is forgotten finds nothing of another tenant. The default tenant keeps its table."""

    from lancedb.expr import lit

    from documents.chunks import rows

    async def find(table):
        for document_id, tenant in (("doc_a", "default"), ("doc_b", "Team"), ("doc_c", "team")):
            await put(table, document_id, tenant)
        monkeypatch.setattr(rows, "tenant_filter", lambda _: lit(1) == lit(1))
        found = [
            {hit.document_id for hit in await ask(table, "lamp", tenant)} for tenant in ("default", "Team", "team")
        ]
        names = (await table._connection.list_tables()).tables
        await table.remove("doc_b")
        return found, len(names), min(names, key=len), await table.count("doc_b")

    found, tables, default, left = with_table(find)
    assert found == [{"doc_a"}, {"doc_b"}, {"doc_c"}]
    assert (tables, left) == (3, 0)
    assert re.fullmatch("chunks_[0-9a-f]{16}", default)


def test_a_removed_document_is_gone_immediately(with_table):
    """Neither a count nor a search finds it, and a second removal is not an error."""

    async def remove(table):
        await put(table)
        await table.remove("doc_a")
        await table.remove("doc_a")
        return await table.count("doc_a"), await ask(table, "lamp")

    assert with_table(remove) == (0, [])


def test_chunks_of_another_model_are_not_searched_but_reported(with_table):
    """Vectors of two models are never compared; storing the document again moves it to the new model."""
    newer = EmbeddingModel("newer", 384)

    async def change(table):
        await put(table)
        before = await ask(table, "lamp", model=newer), await table.documents_of_other_models(newer, "t")
        await put(table, model=newer)
        return before, await table.count("doc_a"), await ask(table, "lamp", model=newer)

    before, count, hits = with_table(change)
    assert before == ([], {"doc_a": str(MODEL)})
    assert count == len(hits) == len(TEXTS)


def test_only_requested_documents_are_reported_as_of_another_model(with_table):
    """Documents of other tenants, and documents that were not asked for, are not reported."""
    newer = EmbeddingModel("newer", 384)

    async def other_models(table):
        await put(table)
        await put(table, "doc_b", model=newer)
        scopes = [("t", None), ("t", ["doc_a"]), ("t", ["doc_b"]), ("other", None)]
        return [await table.documents_of_other_models(newer, tenant, ids) for tenant, ids in scopes]

    assert with_table(other_models) == [{"doc_a": str(MODEL)}, {"doc_a": str(MODEL)}, {}, {}]


def test_a_document_of_another_model_does_not_affect_the_others(with_table):
    """Documents that were stored with the current model are still found."""
    newer = EmbeddingModel("newer", 384)

    async def ask_the_new_one(table):
        await put(table)
        await put(table, "doc_b", model=newer)
        return await ask(table, "lamp", ids=["doc_b"], model=newer)

    assert {hit.document_id for hit in with_table(ask_the_new_one)} == {"doc_b"}


@pytest.mark.parametrize("vectors", [[], [b"1234"] * 4])
def test_missing_and_wrong_vectors_are_rejected(with_table, vectors):
    """A chunk without a vector, or with one of the wrong length, would corrupt the table."""

    async def store(table):
        await table.replace("doc_a", "t", MODEL, chunks_of(TEXTS), vectors)

    with pytest.raises(ValueError, match="vector"):
        with_table(store)


def test_a_table_is_created_only_by_the_process_whose_turn_it_is(table_url, folder):
    """Lance would let the second creation replace the table of the first, with the chunks in it."""
    refused = asyncio.Event()

    @asynccontextmanager
    async def refuse(_):
        refused.set()
        yield False

    async def write_both():
        second = asyncio.create_task(put(await ChunkTable.open(table_url, refuse), "doc_b"))
        await asyncio.wait_for(refused.wait(), 30)
        assert list(folder.glob("chunks/*")) == []
        table = await ChunkTable.open(table_url)
        await put(table, "doc_a")
        await second
        return await table.count("doc_a"), await table.count("doc_b")

    assert asyncio.run(write_both()) == (len(TEXTS), len(TEXTS))


def _create_and_write(url: str, redis_url: str, documents: list[str], times: int) -> None:
    async def write() -> None:
        store = AsyncStore.open(Settings(REDIS_URL=redis_url))
        table = await ChunkTable.open(url, partial(creation_turn, store, f"worker:{os.getpid()}"))
        for round_number in range(times):
            for document in documents:
                await put(table, document, texts=TEXTS * (1 + round_number % 3))
        await store.close()

    asyncio.run(write())


def start_process(target, *args) -> BaseProcess:
    process = multiprocessing.get_context("spawn").Process(target=target, args=args)
    process.start()
    return process


@pytest.mark.slow
def test_concurrent_writers_of_one_document_leave_one_set(table_url, redis_url, with_table):
    """The table does not exist at first, so the processes also create it concurrently."""
    writers = [start_process(_create_and_write, table_url, redis_url, ["doc_a"], 9) for _ in range(4)]
    for writer in writers:
        writer.join(90)

    assert [writer.exitcode for writer in writers] == [0] * 4
    assert with_table(lambda table: table.count("doc_a")) == len(TEXTS) * 3


@pytest.mark.slow
def test_concurrent_writers_and_searches_do_not_disturb_each_other(table_url, redis_url, with_table):
    """Every document is complete at the end, after enough commits that the table is optimized in the meantime.

    A search reads twice, by full text and by vector, and a commit may come in between. It may therefore find a single
    chunk, by full text only.
    """
    ids_by_writer = [[f"doc_{writer}_{number}" for number in range(15)] for writer in range(3)]
    writers = [
        start_process(_create_and_write, table_url, redis_url, document_ids, 1) for document_ids in ids_by_writer
    ]

    async def watch(table):
        while any(writer.is_alive() for writer in writers):
            assert len(await ask(table, "lamp", ids=["doc_0_0"])) in {0, 1, len(TEXTS)}
        return [await table.count(document_id) for document_ids in ids_by_writer for document_id in document_ids]

    assert with_table(watch) == [len(TEXTS)] * 45
    assert [writer.exitcode for writer in writers] == [0] * 3


def _write_forever(url: str) -> None:
    async def write() -> None:
        table = await ChunkTable.open(url)
        while True:
            for times in (1, 2, 3):
                await put(table, texts=TEXTS * times)

    asyncio.run(write())


@pytest.mark.slow
def test_a_killed_writer_leaves_a_complete_set(table_url, with_table):
    """Ten kills at random moments of a process that does nothing but write."""
    rng = random.Random(7)
    with_table(put)
    counts = []
    for _ in range(10):
        writer = start_process(_write_forever, table_url)
        wait_for_commit(table_url)
        writer.join(rng.random() * 0.2)
        writer.kill()
        writer.join()
        counts.append(with_table(lambda table: table.count("doc_a")))

    assert set(counts) <= {len(TEXTS) * times for times in (1, 2, 3)}


def wait_for_commit(url: str) -> None:
    def versions() -> int:
        return sum(len(names) for folder, _, names in os.walk(url) if folder.endswith("_versions"))

    before, deadline = versions(), time.monotonic() + 30
    while versions() == before:
        assert time.monotonic() < deadline
        time.sleep(0.001)
