"""Questions in 17 languages find and quote the right sentence, without a language model."""

from pathlib import Path

import pytest
from lancedb.index import FTS

from documents.answering.citations import extract_answer, extract_citations
from documents.answering.source_selection import select_sources
from documents.chunks.index_maintenance import has_current_text_index, maintain_indexes
from documents.chunks.rows import SEARCH_TEXT_MARK
from documents.models import Chunk, Source
from documents.text import keywords, sentence_spans, text_keywords
from tests.documents.conftest import MODEL, vector

NO_SIMILARITY = 2.0  # the cosine of hashed words is not one of meaning
MIN_RIGHT_SENTENCES = 48  # of 51


def read_languages():
    """The text and the (question, part of the right sentence) pairs of each language."""
    for block in Path(__file__).with_name("languages.txt").read_text("utf-8").split("# ")[1:]:
        language, text, *questions = block.strip().splitlines()
        yield language, text, [tuple(part.strip() for part in line.split("|")) for line in questions]


LANGUAGES = list(read_languages())


def chunks_of(text):
    """A chunk for each sentence, so that the search has to choose."""
    return [Chunk(n, 1, start, end, text[start:end]) for n, (start, end) in enumerate(sentence_spans(text))]


def test_the_right_sentence_is_quoted_in_most_languages(with_table):
    """All texts are in one table. The full-text index, the selection and the citations cut words in the same way."""

    async def work(table):
        for language, text, _ in LANGUAGES:
            chunks = chunks_of(text)
            await table.replace(language, "t", MODEL, chunks, [vector(chunk.text) for chunk in chunks])
        right, wrong = 0, []
        for language, _, questions in LANGUAGES:
            for question, needed in questions:
                hits = await table.search(question, vector(question), MODEL, "t")
                sources = select_sources(question, hits, {name: name for name, _, _ in LANGUAGES}, 2_000, NO_SIMILARITY)
                quoted = extract_citations(extract_answer(question, sources), question, sources) if sources else ()
                if any(needed in citation.quote for citation in quoted):
                    right += 1
                else:
                    wrong.append((language, question, [citation.quote for citation in quoted]))
        return right, wrong

    right, wrong = with_table(work)

    assert sum(len(questions) for _, _, questions in LANGUAGES) == 51
    assert right >= MIN_RIGHT_SENTENCES, wrong


@pytest.mark.parametrize(
    ("language", "claim", "needed"),
    [
        ("zh", "换新锁需要一百八十欧元 [1]。", "一百八十欧元"),
        ("ja", "食堂は四階にあります [1]。", "四階"),
        ("th", "โรงอาหารอยู่ที่ชั้นสี่ [1]", "ชั้นสี่"),
        ("ko", "휴가는 일 년에 삼십 일입니다 [1].", "삼십 일"),
        ("hi", "भोजनालय चौथी मंज़िल पर है [1]।", "चौथी"),
        ("ru", "Тридцать дней отпуска [1].", "тридцать"),
    ],
)
def test_a_quote_fits_the_claim_in_every_script(language, claim, needed):
    """The quote is one sentence, also in scripts without blanks or capitals."""
    text = next(text for name, text, _ in LANGUAGES if name == language)
    (citation,) = extract_citations(claim, "?", (Source(1, "doc_a", "a.txt", 1, text, 0.5),))

    assert needed in citation.quote
    assert len(citation.quote) < len(text) / 2


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("Prüfung", "Pru\u0308fung"),  # composed and decomposed
        ("cafe senora Nunez", "café señora Núñez"),
        ("ABC123", "ＡＢＣ１２３"),
        ("ｶﾒﾗ", "カメラ"),
        ("filing office", "ﬁling oﬃce"),
        ("governor Zanzibar", "gov\u200bernor of Zan\u200bzibar"),
        ("Strasse", "Straße"),
        ("Lodz smorrebrod", "Łódź smørrebrød"),
        ("ISTANBUL", "İstanbul"),
        ("الإجازة", "اجازة"),
        ("σοφος", "ΣΟΦΟΣ σοφός"),
        ("Urlaub für die", "Urlaubstage"),
    ],
)
def test_forms_of_one_word_match(question, text):
    """Unicode forms, case, accents, width, ligatures and invisible characters make no difference."""
    assert keywords(question)
    assert keywords(question) <= text_keywords(text)


def test_the_index_of_an_older_version_is_searched_and_then_rewritten(with_table):
    """Its rows hold whole words. A row that was rewritten already is left alone, and no vector changes."""
    chunks = chunks_of("食堂は四階にあり、十一時半に開きます。Leave is thirty days. 鍵をなくした人は代金を払います。")

    async def texts_found(table, lance_table, question):
        hits = await table.search(question, vector("nothing"), MODEL, "t", limit=1)
        rows = await lance_table.query().select(["search_text", "vector"]).to_list()
        return hits[0].chunk.text, sorted(row["search_text"][:3] for row in rows), sorted(row["vector"] for row in rows)

    async def work(table):
        await table.replace("doc_a", "t", MODEL, chunks, [vector(chunk.text) for chunk in chunks])
        (lance_table,) = await table._all_tables()
        await lance_table.update(updates_sql={"search_text": "text"}, where="index < 2")
        await lance_table.create_index("search_text", config=FTS(with_position=False), replace=True)
        assert not await has_current_text_index(lance_table)
        before = await texts_found(table, lance_table, "How many days of leave?")
        await maintain_indexes(lance_table)
        assert await has_current_text_index(lance_table)
        return before, await texts_found(table, lance_table, "食堂")

    before, after = with_table(work)

    assert before[0] == "Leave is thirty days."
    assert after[0].startswith("食堂は四階")
    assert after[1] == [f"{SEARCH_TEXT_MARK} "] * 3
    assert after[2] == before[2]
