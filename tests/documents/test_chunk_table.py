"""The chunk table: one complete set for each document, whoever writes at the same time and whoever dies."""

import asyncio
import multiprocessing
import os
import random
import signal
import time

import pytest

from documents.chunks.table import ChunkTable
from documents.models import Chunk, EmbeddingModel
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


def test_a_document_that_is_kept_twice_is_there_once(with_table):
    async def twice(table):
        await put(table)
        await put(table)
        return await table.count("doc_a")

    assert with_table(twice) == len(TEXTS)


def test_a_document_that_became_shorter_loses_its_old_end(with_table):
    async def shorten(table):
        await put(table)
        await put(table, "doc_b")
        await put(table, texts=TEXTS[:1])
        return await table.count("doc_a"), await table.count("doc_b")

    assert with_table(shorten) == (1, len(TEXTS))


def test_the_best_chunk_comes_first_and_says_where_it_stands(with_table):
    async def find(table):
        await put(table)
        return await ask(table, "What is the name of the keeper's cat?")

    best = with_table(find)[0]
    assert (best.document_id, best.chunk) == ("doc_a", chunks_of(TEXTS)[2])
    assert best.similarity > 0.2


def test_a_rare_word_is_found_whatever_its_vector_says(with_table):
    """Full text beside vectors: names and numbers have no meaning that a vector could hold."""

    async def find(table):
        filler = [f"Filler number {number} speaks of the keeper and the lamp." for number in range(200)]
        await put(table, "doc_b", texts=[*filler, "Part code ZX81Q."])
        nothing_alike = vector("keeper lamp")
        return await table.search("ZX81Q", nothing_alike, MODEL, "t")

    assert "Part code ZX81Q." in [hit.chunk.text for hit in with_table(find)[:3]]


QUERIES = ['"', "a AND (b OR", "*", "'; DROP TABLE x", "text:lamp^9", "\0", "the of and", "?"]


@pytest.mark.parametrize("question", QUERIES)
def test_a_question_is_words_and_never_a_query_language(with_table, question):
    async def find(table):
        await put(table)
        return await ask(table, question)

    assert with_table(find) is not None


def test_no_chunk_of_another_tenant_or_document_is_ever_found(with_table):
    async def find(table):
        await put(table, "doc_a", "t")
        await put(table, "doc_b", "t")
        await put(table, "doc_c", "it's")
        return [
            {hit.document_id for hit in await ask(table, "lamp", tenant, ids)}
            for tenant, ids in [("t", None), ("t", ["doc_b"]), ("t", ["doc_c"]), ("it's", None), ("t", []), ("x", None)]
        ]

    assert with_table(find) == [{"doc_a", "doc_b"}, {"doc_b"}, set(), {"doc_c"}, set(), set()]


def test_a_removed_document_is_gone_at_once(with_table):
    async def remove(table):
        await put(table)
        await table.remove("doc_a")
        await table.remove("doc_a")
        return await table.count("doc_a"), await ask(table, "lamp")

    assert with_table(remove) == (0, [])


def test_another_model_is_told_apart_and_named(with_table):
    """Vectors of two models are never compared; keeping the document again moves it over."""
    newer = EmbeddingModel("newer", 384)

    async def change(table):
        await put(table)
        before = await ask(table, "lamp", model=newer), await table.documents_of_other_models(newer, "t")
        await put(table, model=newer)
        return before, await table.count("doc_a"), await ask(table, "lamp", model=newer)

    before, count, found = with_table(change)
    assert before == ([], {"doc_a": str(MODEL)})
    assert count == len(found) == len(TEXTS)


def test_only_what_was_asked_for_is_told_to_be_of_another_model(with_table):
    """Of other tenants, and other documents, nothing is said."""
    newer = EmbeddingModel("newer", 384)

    async def look(table):
        await put(table)
        await put(table, "doc_b", model=newer)
        asked = [("t", None), ("t", ["doc_a"]), ("t", ["doc_b"]), ("other", None)]
        return [await table.documents_of_other_models(newer, tenant, ids) for tenant, ids in asked]

    assert with_table(look) == [{"doc_a": str(MODEL)}, {"doc_a": str(MODEL)}, {}, {}]


def test_a_document_of_another_model_does_not_disturb_the_others(with_table):
    newer = EmbeddingModel("newer", 384)

    async def ask_the_new_one(table):
        await put(table)
        await put(table, "doc_b", model=newer)
        return await ask(table, "lamp", ids=["doc_b"], model=newer)

    assert {hit.document_id for hit in with_table(ask_the_new_one)} == {"doc_b"}


@pytest.mark.parametrize("vectors", [[], [b"1234"] * 4])
def test_a_vector_of_the_wrong_length_is_refused(with_table, vectors):
    async def keep(table):
        await table.replace("doc_a", "t", MODEL, chunks_of(TEXTS), vectors)

    with pytest.raises(ValueError, match="vector"):
        with_table(keep)


def _write(url: str, documents: list[str], times: int) -> None:
    async def write() -> None:
        table = await ChunkTable.open(url)
        for turn in range(times):
            for document in documents:
                await put(table, document, texts=TEXTS * (1 + turn % 3))

    asyncio.run(write())


def started(target, *args) -> multiprocessing.Process:
    process = multiprocessing.get_context("spawn").Process(target=target, args=args)
    process.start()
    return process


def test_many_processes_write_one_document_and_one_set_remains(table_url, with_table):
    """From nothing: they make the table at the same moment too."""
    writers = [started(_write, table_url, ["doc_a"], 9) for _ in range(4)]
    for writer in writers:
        writer.join(90)

    assert [writer.exitcode for writer in writers] == [0] * 4
    assert with_table(lambda table: table.count("doc_a")) == len(TEXTS) * 3


def test_many_processes_write_their_documents_while_others_search(table_url, with_table):
    """Enough commits that the table is put in order meanwhile; every document is whole at the end.

    A search reads twice, by words and by vector, and a commit may come in between: words alone find one of its chunks.
    """
    writers = [started(_write, table_url, [f"doc_{number}_{turn}" for turn in range(15)], 1) for number in range(3)]

    async def watch(table):
        while any(writer.is_alive() for writer in writers):
            assert len(await ask(table, "lamp", ids=["doc_0_0"])) in {0, 1, len(TEXTS)}
        return [await table.count(f"doc_{number}_{turn}") for number in range(3) for turn in range(15)]

    assert with_table(watch) == [len(TEXTS)] * 45
    assert [writer.exitcode for writer in writers] == [0] * 3


def _write_for_ever(url: str) -> None:
    while True:
        _write(url, ["doc_a"], 1_000)


def test_a_writer_that_is_killed_at_any_moment_leaves_a_whole_set(table_url, with_table):
    """Ten kills at random moments of a writer that does nothing but write."""
    rng = random.Random(7)
    with_table(put)
    counts = []
    for _ in range(10):
        writer = started(_write_for_ever, table_url)
        _wait_for_a_commit(table_url)
        writer.join(rng.random() * 0.2)
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
        counts.append(with_table(lambda table: table.count("doc_a")))

    assert set(counts) <= {len(TEXTS) * times for times in (1, 2, 3)}


def _wait_for_a_commit(url: str) -> None:
    def versions() -> int:
        return sum(len(names) for place, _, names in os.walk(url) if place.endswith("_versions"))

    before, deadline = versions(), time.monotonic() + 30
    while versions() == before:
        assert time.monotonic() < deadline
        time.sleep(0.001)
