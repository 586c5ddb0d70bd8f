"""Sources that no search finds: whole documents, pages, and samples of documents that are too long."""

from itertools import pairwise

import pytest

from documents.answering.prompting import build_prompt, count_prompt_tokens
from documents.answering.requests import asks_for_whole_document, requested_pages
from documents.answering.whole_documents import (
    fits,
    may_fit,
    on_pages,
    sample_candidates,
    sample_sources,
    whole_sources,
)
from documents.models import Chunk, TextPage
from documents.reading.chunking import ChunkSize, chunk_pages
from documents.text import normalize_text
from tests.documents.conftest import MODEL, vector

NAMES = {"doc_b": "b.txt", "doc_a": "a.txt"}


def document(document_id, pages, sentences=30):
    """The chunks of a document; each page starts with a heading and consists of numbered sentences."""
    texts = [
        f"{page} Chapter {page}\n\n" + " ".join(f"Sentence {n} of page {page}." for n in range(sentences))
        for page in range(1, pages + 1)
    ]
    text_pages = [TextPage(number, pages, text) for number, text in enumerate(texts, start=1)]
    return texts, [(document_id, chunk) for chunk in chunk_pages(text_pages, ChunkSize(60, 20))]


def test_a_whole_document_is_one_source_for_each_page():
    """In the order in which the documents were chosen. Overlaps of chunks occur once, and all words are there."""
    texts, chunks = document("doc_a", 3)
    sources = whole_sources([*chunks, ("doc_b", Chunk(0, 1, 0, 5, "Other"))], NAMES, "whole")

    assert [(source.number, source.filename, source.page) for source in sources] == [
        (1, "b.txt", 1),
        (2, "a.txt", 1),
        (3, "a.txt", 2),
        (4, "a.txt", 3),
    ]
    assert [normalize_text(source.text) for source in sources[1:]] == [normalize_text(text) for text in texts]
    assert "whole documents" in build_prompt("tl;dr", sources).system


@pytest.mark.parametrize("max_tokens", [300, 1_000, 3_000])
def test_a_long_document_is_sampled_from_its_first_to_its_last_page(max_tokens):
    """The sample stays within the budget, and the prompt states that it is one."""
    _, chunks = document("doc_a", 60)
    sources = sample_sources(sample_candidates(chunks), NAMES, max_tokens)
    pages = [source.page for source in sources]

    assert not may_fit(chunks, max_tokens)
    assert fits(sources, max_tokens + sum(count_prompt_tokens(source) for source in sources[:1]))
    assert sum(map(count_prompt_tokens, sources)) <= max_tokens
    assert (pages[0], pages[-1]) == (1, 60)
    assert pages == sorted(pages)
    if max_tokens > 2_000:
        assert max(b - a for a, b in pairwise(pages)) < 15
    assert {source.selection for source in sources} == {"sample"}
    assert "parts of the documents" in build_prompt("tl;dr", sources).system


def test_each_document_has_a_part_of_the_sample():
    """A long document does not displace a short one."""
    chunks = [*document("doc_a", 80)[1], *document("doc_b", 2)[1]]
    sources = sample_sources(sample_candidates(chunks), NAMES, 2_000)

    assert {source.document_id for source in sources} == {"doc_a", "doc_b"}


def test_pages_are_selected_by_their_number():
    """Of every chosen document."""
    chunks = [*document("doc_a", 5)[1], *document("doc_b", 2)[1]]

    assert {(document_id, chunk.page) for document_id, chunk in on_pages(chunks, (2, 4))} == {
        ("doc_a", 2),
        ("doc_a", 4),
        ("doc_b", 2),
    }


def test_chunks_are_read_by_position(with_table):
    """Only those of the tenant's chosen documents, in order."""
    _, chunks = document("doc_a", 4)

    async def work(table):
        for document_id, tenant in (("doc_a", "t"), ("doc_b", "other")):
            stored = [chunk for _, chunk in chunks]
            await table.replace(document_id, tenant, MODEL, stored, [vector("x")] * len(stored))
        positions = await table.positions(MODEL, "t", ["doc_a", "doc_b"], 1_000)
        wanted = {(document_id, chunk.index) for document_id, chunk in positions[3:5]} | {("doc_b", 0)}
        return positions, await table.read(MODEL, "t", wanted), await table.read(MODEL, "t", ())

    positions, read, nothing = with_table(work)

    assert [(chunk.index, chunk.page) for _, chunk in positions] == [(chunk.index, chunk.page) for _, chunk in chunks]
    assert read == chunks[3:5]
    assert nothing == []


@pytest.mark.parametrize(
    "message",
    """Summarize this document. | Give me the key points. | What are the main topics? | Who wrote this? | tl;dr
    Fasse das Dokument zusammen. | List all section headings. | Résume ce document | Resume este documento
    この文書を要約してください | 이 문서를 요약해 주세요 | สรุปเอกสารนี้ | لخص هذا المستند | Bu belgeyi özetle""".replace(
        "\n", "|"
    ).split("|"),
)
def test_requests_about_a_whole_document_are_recognized(message):
    """They need words only where a chunk happens to match."""
    assert asks_for_whole_document(message.strip())


@pytest.mark.parametrize(
    "message", ["Summarize the leave policy", "Who wrote the leave policy?", "Thanks!", "", "a" * 9_000]
)
def test_requests_about_a_subject_are_looked_up(message):
    """They name a subject that the search can find."""
    assert not asks_for_whole_document(message)


@pytest.mark.parametrize(
    ("message", "pages"),
    [
        ("What is on page 2?", (2,)),
        ("Summarize pages 2-4 and page ９", (2, 3, 4, 9)),
        ("Was steht auf Seite 4?", (4,)),
        ("第3页讲了什么？", (3,)),
        ("3ページの内容", (3,)),
        ("3페이지 요약", (3,)),
        ("что на странице 3", (3,)),
        ("หน้า 3", (3,)),
        ("الصفحة ٣", (3,)),
        ("2. sayfa", (2,)),
        ("In 1847 the homepage had 3 ships", ()),
        ("page 0", ()),
        ("page 1 to 99999", tuple(range(1, 51))),
    ],
)
def test_page_numbers_are_read_in_many_languages(message, pages):
    """A range of pages is limited."""
    assert requested_pages(message) == pages
