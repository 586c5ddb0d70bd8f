"""Upkeep makes searches fast and nothing else: what is found stays the same, whoever is killed or late meanwhile."""

import asyncio
import os
import random
import signal
from functools import partial

import numpy as np
import pytest
from lancedb.index import IvfSq

from documents.chunks import index_maintenance
from documents.chunks.table import ChunkTable
from documents.models import Chunk, EmbeddingModel
from tests.documents.test_chunk_table import TEXTS, _wait_for_a_commit, ask, put, started

DOCUMENTS, EACH = 8, 600
WIDE = EmbeddingModel("wide", 64)


@pytest.fixture
def early_index(monkeypatch):
    """With the last document, and of as many partitions as a table of a million would have."""
    monkeypatch.setattr(index_maintenance, "MAX_EXACT_SEARCH_ROWS", DOCUMENTS * EACH - 1)
    monkeypatch.setattr(index_maintenance, "IvfSq", partial(IvfSq, num_partitions=128))


def vectors_about(topics, count, seed):
    """Near their topics, as texts are."""
    rng = np.random.default_rng(seed)
    found = topics[rng.integers(len(topics), size=count)] + 0.8 * rng.standard_normal((count, topics.shape[1]))
    return found.astype("<f4")


TOPICS = np.random.default_rng(1).standard_normal((30, WIDE.dimensions))


async def fill(table, documents=DOCUMENTS):
    for number in range(documents):
        vectors = [vector.tobytes() for vector in vectors_about(TOPICS, EACH, number)]
        chunks = [Chunk(index, 1, 0, 4, "text") for index in range(EACH)]
        await table.replace(f"doc_{number}", "t", WIDE, chunks, vectors)


async def lance_table(table):
    (found,) = await table._all_tables()
    return found


def exact_neighbours(asked, documents):
    """Who is nearest, by looking at each."""
    vectors = np.concatenate([vectors_about(TOPICS, EACH, number) for number in documents])
    keys = [(f"doc_{number}", index) for number in documents for index in range(EACH)]
    order = np.argsort(-(vectors @ asked) / np.linalg.norm(vectors, axis=1))
    return {keys[place] for place in order[:20]}


@pytest.mark.parametrize("documents", [range(DOCUMENTS), range(3), [5]])
def test_the_index_of_vectors_finds_what_looking_at_each_finds(with_table, early_index, documents):
    """Of all documents and of a few, which an index that looks at the nearest partitions alone would miss."""
    ids = [f"doc_{number}" for number in documents]

    async def work(table):
        await fill(table)
        questions = vectors_about(TOPICS, 20, 99)
        found = [await table.search("of the", asked.tobytes(), WIDE, "t", ids) for asked in questions]
        assert (await (await lance_table(table)).index_stats("vector_idx")).index_type == "IVF_SQ"
        return [
            len({(hit.document_id, hit.chunk.index) for hit in hits} & exact_neighbours(asked, documents)) / 20
            for asked, hits in zip(questions, found, strict=True)
        ]

    assert np.mean(with_table(work)) >= 0.99


def test_what_came_or_went_after_the_index_is_known_at_once(with_table, early_index, monkeypatch):
    async def work(table):
        await fill(table)
        monkeypatch.setattr(index_maintenance, "_MAX_SECONDS", 0.0)
        asked = vectors_about(TOPICS, 1, 42)[0]
        await table.replace("doc_new", "t", WIDE, [Chunk(0, 1, 0, 4, "text")], [asked.tobytes()])
        came = await table.search("of the", asked.tobytes(), WIDE, "t")
        await table.remove("doc_new")
        return came, await table.search("of the", asked.tobytes(), WIDE, "t")

    came, went = with_table(work)
    assert came[0].document_id == "doc_new"
    assert "doc_new" not in {hit.document_id for hit in went}


def test_an_upkeep_out_of_time_costs_no_chunk_and_is_made_up_for_later(with_table, monkeypatch):
    async def work(table):
        monkeypatch.setattr(index_maintenance, "_MAX_SECONDS", 0.0)
        await put(table, texts=TEXTS * 60)
        late = await (await lance_table(table)).index_stats("search_text_idx")
        found = await ask(table, "lamp")
        monkeypatch.undo()
        await put(table, "doc_b")
        return (
            late.num_unindexed_rows,
            found,
            (await (await lance_table(table)).index_stats("search_text_idx")).num_unindexed_rows,
        )

    late, found, later = with_table(work)
    assert late == len(TEXTS) * 60
    assert found
    assert later == 0


def test_a_table_of_an_older_version_gets_the_index_that_it_lacks(with_table):
    async def work(table):
        await put(table)
        await (await lance_table(table)).drop_index("tenant_idx")
        await put(table, "doc_b")
        return {column for index in await (await lance_table(table)).list_indices() for column in index.columns}

    assert with_table(work) == {"search_text", "document_id", "tenant"}


@pytest.mark.parametrize(
    ("indexed", "unindexed", "files", "is_due"),
    [(0, 100, 1, False), (0, 101, 1, True), (100_000, 390, 1, False), (100_000, 391, 1, True), (0, 0, 129, True)],
)
def test_the_table_is_put_in_order_when_it_pays(indexed, unindexed, files, is_due):
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
def test_vectors_are_indexed_from_a_size_on_and_again_when_the_index_is_in_many_parts(rows, parts, is_due):
    assert index_maintenance.needs_vector_index(rows, parts) is is_due


def _upkeep_for_ever(url: str) -> None:
    index_maintenance.MAX_EXACT_SEARCH_ROWS = 1
    index_maintenance._MAX_UNINDEXED_ROWS = 0

    async def write() -> None:
        table = await ChunkTable.open(url)
        while True:
            await put(table, texts=TEXTS * random.randint(70, 72))

    asyncio.run(write())


def test_writers_that_are_killed_while_they_index_leave_a_whole_set(table_url, with_table):
    """Two at once, which also come in each other's way; after each kill one document is there, once and whole."""
    rng = random.Random(3)
    counts = []
    for _ in range(6):
        writers = [started(_upkeep_for_ever, table_url) for _ in range(2)]
        _wait_for_a_commit(table_url)
        writers[0].join(rng.random() * 0.5)
        for writer in writers:
            os.kill(writer.pid, signal.SIGKILL)
            writer.join()
        counts.append(with_table(lambda table: table.count("doc_a")))

    assert set(counts) <= {len(TEXTS) * times for times in (70, 71, 72)}
    assert with_table(_is_indexed)
    assert with_table(lambda table: ask(table, "lamp"))


async def _is_indexed(table):
    return await (await lance_table(table)).index_stats("vector_idx") is not None


def test_one_process_does_one_upkeep_at_a_time(with_table, monkeypatch):
    """Two would each undo what the other has written, and leave the files of it behind."""
    running, most = 0, 0

    async def watched(_table):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.05)
        running -= 1

    monkeypatch.setattr(index_maintenance, "maintain_indexes", watched)

    async def ingest_at_once(table):
        await put(table, "doc_first")
        await asyncio.gather(*(put(table, f"doc_{number}") for number in range(5)))

    with_table(ingest_at_once)
    assert most == 1
