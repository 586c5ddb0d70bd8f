"""Index maintenance changes only the speed of a search, never its results, even if processes are killed or late."""

import asyncio
import random
from functools import partial

import numpy as np
import pytest
from lancedb.index import IvfSq

from documents.chunks import index_maintenance
from documents.chunks.table import ChunkTable
from documents.models import Chunk, EmbeddingModel
from tests.documents.test_chunk_table import TEXTS, ask, put, start_process, wait_for_commit

DOCUMENTS, CHUNKS_EACH = 8, 600
WIDE = EmbeddingModel("wide", 64)


@pytest.fixture
def early_index(monkeypatch):
    """Build the vector index with the last document, with as many partitions as a table of a million rows has."""
    monkeypatch.setattr(index_maintenance, "MAX_EXACT_SEARCH_ROWS", DOCUMENTS * CHUNKS_EACH - 1)
    monkeypatch.setattr(index_maintenance, "IvfSq", partial(IvfSq, num_partitions=128))


def vectors_about(topics, count, seed):
    """Random vectors near the topics, as those of texts are."""
    rng = np.random.default_rng(seed)
    vectors = topics[rng.integers(len(topics), size=count)] + 0.8 * rng.standard_normal((count, topics.shape[1]))
    return vectors.astype("<f4")


TOPICS = np.random.default_rng(1).standard_normal((30, WIDE.dimensions))


async def fill(table, documents=DOCUMENTS):
    for number in range(documents):
        vectors = [vector.tobytes() for vector in vectors_about(TOPICS, CHUNKS_EACH, number)]
        chunks = [Chunk(index, 1, 0, 4, "text") for index in range(CHUNKS_EACH)]
        await table.replace(f"doc_{number}", "t", WIDE, chunks, vectors)


async def only_lance_table(table):
    (lance_table,) = await table._all_tables()
    return lance_table


def exact_neighbours(query_vector, documents):
    """The 20 nearest chunks, by comparing every vector."""
    vectors = np.concatenate([vectors_about(TOPICS, CHUNKS_EACH, number) for number in documents])
    keys = [(f"doc_{number}", index) for number in documents for index in range(CHUNKS_EACH)]
    order = np.argsort(-(vectors @ query_vector) / np.linalg.norm(vectors, axis=1))
    return {keys[position] for position in order[:20]}


@pytest.mark.slow
@pytest.mark.parametrize("documents", [range(DOCUMENTS), range(3), [5]])
def test_the_vector_index_finds_what_an_exact_search_finds(with_table, early_index, documents):
    """For all documents and for a few, which an index that reads only the nearest partitions would miss."""
    ids = [f"doc_{number}" for number in documents]

    async def work(table):
        await fill(table)
        query_vectors = vectors_about(TOPICS, 20, 99)
        results = [await table.search("of the", query.tobytes(), WIDE, "t", ids) for query in query_vectors]
        assert (await (await only_lance_table(table)).index_stats("vector_idx")).index_type == "IVF_SQ"
        return [
            len({(hit.document_id, hit.chunk.index) for hit in hits} & exact_neighbours(query, documents)) / 20
            for query, hits in zip(query_vectors, results, strict=True)
        ]

    assert np.mean(with_table(work)) >= 0.99


def test_rows_added_or_removed_after_indexing_are_visible_immediately(with_table, early_index, monkeypatch):
    """A search never depends on maintenance, only its speed does."""

    async def work(table):
        await fill(table)
        monkeypatch.setattr(index_maintenance, "_MAX_SECONDS", 0.0)
        query = vectors_about(TOPICS, 1, 42)[0]
        await table.replace("doc_new", "t", WIDE, [Chunk(0, 1, 0, 4, "text")], [query.tobytes()])
        hits_with = await table.search("of the", query.tobytes(), WIDE, "t")
        await table.remove("doc_new")
        return hits_with, await table.search("of the", query.tobytes(), WIDE, "t")

    hits_with, hits_without = with_table(work)
    assert hits_with[0].document_id == "doc_new"
    assert "doc_new" not in {hit.document_id for hit in hits_without}


def test_maintenance_that_runs_out_of_time_loses_no_chunk(with_table, monkeypatch):
    """Unindexed chunks are still found, and a later ingest indexes them."""

    async def work(table):
        monkeypatch.setattr(index_maintenance, "_MAX_SECONDS", 0.0)
        await put(table, texts=TEXTS * 60)
        before = await unindexed_rows(table)
        hits = await ask(table, "lamp")
        monkeypatch.undo()
        await put(table, "doc_b")
        return before, hits, await unindexed_rows(table)

    before, hits, after = with_table(work)
    assert before == len(TEXTS) * 60
    assert hits
    assert after == 0


async def unindexed_rows(table):
    return (await (await only_lance_table(table)).index_stats("search_text_idx")).num_unindexed_rows


def test_a_table_of_an_older_version_gets_its_missing_index(with_table):
    """A new index needs no migration: the next ingest creates it."""

    async def work(table):
        await put(table)
        await (await only_lance_table(table)).drop_index("tenant_idx")
        await put(table, "doc_b")
        return {column for index in await (await only_lance_table(table)).list_indices() for column in index.columns}

    assert with_table(work) == {"search_text", "document_id", "tenant"}


@pytest.mark.parametrize(
    ("indexed", "unindexed", "files", "is_due"),
    [(0, 100, 1, False), (0, 101, 1, True), (100_000, 390, 1, False), (100_000, 391, 1, True), (0, 0, 129, True)],
)
def test_the_table_is_optimized_only_when_it_is_worth_the_cost(indexed, unindexed, files, is_due):
    """Too many unindexed rows or too many files slow down every search."""
    assert index_maintenance.needs_optimization(indexed, unindexed, files) is is_due


@pytest.mark.parametrize(
    ("rows", "parts", "is_due"),
    [
        (20_000, 0, False),
        (20_001, 0, True),
        (20_001, 1, False),
        (90_000, 16, False),
        (90_000, 17, True),
        (9, 17, False),
    ],
)
def test_the_vector_index_is_built_for_large_tables_and_rebuilt_from_many_parts(rows, parts, is_due):
    """A small table is searched exactly, and an index of many parts becomes slow."""
    assert index_maintenance.needs_vector_index(rows, parts) is is_due


def _maintain_forever(url: str) -> None:
    patch = pytest.MonkeyPatch()  # never undone: this runs in a process of its own
    patch.setattr(index_maintenance, "MAX_EXACT_SEARCH_ROWS", 1)
    patch.setattr(index_maintenance, "_MAX_UNINDEXED_ROWS", 0)

    async def write() -> None:
        table = await ChunkTable.open(url)
        while True:
            await put(table, texts=TEXTS * random.randint(70, 72))

    asyncio.run(write())


@pytest.mark.slow
def test_writers_that_are_killed_while_indexing_leave_a_complete_set(table_url, with_table):
    """Two concurrent writers, which also conflict; after each kill the document is stored once and completely."""
    rng = random.Random(3)
    with_table(lambda table: put(table, texts=TEXTS * 70))  # a writer may be killed after it has created the table
    counts = []
    for _ in range(6):
        writers = [start_process(_maintain_forever, table_url) for _ in range(2)]
        wait_for_commit(table_url)
        writers[0].join(rng.random() * 0.5)
        for writer in writers:
            writer.kill()
            writer.join()
        counts.append(with_table(lambda table: table.count("doc_a")))

    assert set(counts) <= {len(TEXTS) * times for times in (70, 71, 72)}
    assert with_table(_is_indexed)
    assert with_table(lambda table: ask(table, "lamp"))


async def _is_indexed(table):
    return await (await only_lance_table(table)).index_stats("vector_idx") is not None


def test_one_process_runs_one_maintenance_at_a_time(with_table, monkeypatch):
    """Two concurrent runs would undo each other's work and leave unused files behind."""
    running, max_running = 0, 0

    async def count_runs(_table):
        nonlocal running, max_running
        running += 1
        max_running = max(max_running, running)
        await asyncio.sleep(0.05)
        running -= 1

    monkeypatch.setattr(index_maintenance, "maintain_indexes", count_runs)

    async def put_concurrently(table):
        await put(table, "doc_first")
        await asyncio.gather(*(put(table, f"doc_{number}") for number in range(5)))

    with_table(put_concurrently)
    assert max_running == 1
