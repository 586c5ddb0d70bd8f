"""Long documents are summarized section by section: every chapter is named and cited, and no finished call is repeated."""

import json
import signal
import urllib.request

import pytest

from documents.answering.headings import find_chapters
from documents.answering.markers import find_marks
from documents.answering.prompting import count_prompt_tokens
from documents.answering.requests import asks_for_brief_answer, asks_for_summary, asks_for_whole_document
from documents.answering.sections import MAX_SECTIONS, cut_sections
from documents.answering.summaries import (
    all_sources,
    combine_summaries,
    format_sections,
    group_summaries,
    section_summary,
)
from documents.models import Source
from tasks.handlers.summarizing import MAX_CONCURRENT_CALLS
from tests.documents import in_process
from tests.documents.factories import make_pdf
from tests.support.processes import PROJECT_ROOT
from tests.support.waiting import until

KILLS = 2
PROSE = "The keeper of the lighthouse writes down every ship that passes the harbour on its way to the north. "
CHAPTERS = (
    "Whales",
    "Harbours",
    "Lamps",
    "Storms",
    "Ropes",
    "Charts",
    "Anchors",
    "Sails",
    "Tides",
    "Gulls",
    "Pilots",
    "Crews",
)
CONTENTS = "Contents\n" + "\n".join(f"{n} {title} . . . . . . . . {3 * n - 2}" for n, title in enumerate(CHAPTERS, 1))


def book():
    """The pages of a book with a table of contents; each chapter has three pages and a sentence of its own."""
    pages = [CONTENTS]
    for number, title in enumerate(CHAPTERS, 1):
        pages.append(
            f"{number} {title}\nThis chapter explains the {title.lower()} of the northern islands to sailors.\n"
            + PROSE * 8
        )
        pages += [f"Chapter {number}: {title}\n" + PROSE * 8] * 2
    return pages


def sources_of(pages, document_id="doc_a"):
    return [Source(0, document_id, f"{document_id}.pdf", number, text, 0.0) for number, text in enumerate(pages, 1)]


def test_chapters_are_found_by_the_table_of_contents():
    """At the line with the title, not in the table itself and not in the headers of pages."""
    assert [(chapter.page, chapter.title) for chapter in find_chapters(book())] == [
        (1 + 3 * (number - 1), f"{number} {title}") for number, title in enumerate(CHAPTERS, 1)
    ]


@pytest.mark.parametrize(
    ("pages", "titles"),
    [
        (["# Book\n\n## One\ntext\n```\n# no heading\n```\n## Two\ntext"], ["Book", "One", "Two"]),
        (
            ["Chapter 1: Whales\ntext", "Chapter 1: Whales\nmore", "Chapter 2: Ropes\ntext"],
            ["Chapter 1: Whales", "Chapter 2: Ropes"],
        ),
        (["第一章 鲸\n文字", "文字", "第二章 绳\n文字"], ["第一章 鲸", "第二章 绳"]),
        (["Kapitel 1\nWale", "Kapitel 2\nTaue"], ["Kapitel 1", "Kapitel 2"]),
        (["1 Whales\n" + PROSE, "2 Ropes\n" + PROSE, "3 Lamps\n" + PROSE], ["1 Whales", "2 Ropes", "3 Lamps"]),
        (["1. Boil water\n2. Add salt\n3. Serve it\n", PROSE * 10], []),  # a list at the beginning
        ([PROSE, "# a comment in a program\n# another one", PROSE], []),
        ([PROSE] * 3, []),
        ([], []),
    ],
)
def test_chapters_are_found_by_their_headings(pages, titles):
    """In Markdown, by words such as "chapter", or by rising numbers; lists and comments are no chapters."""
    assert [chapter.title for chapter in find_chapters(pages)] == titles


@pytest.mark.parametrize("max_tokens", [100, 300, 1_000])
@pytest.mark.parametrize("pages", [book(), [PROSE * 200], ["x" * 9_000], ["鲸" * 3_000]])
def test_sections_fit_into_a_prompt_and_lose_nothing(pages, max_tokens):
    """Also for pages, paragraphs and words that are longer than a prompt."""
    sections = cut_sections(sources_of(pages), max_tokens)

    assert 0 < len(sections) <= MAX_SECTIONS or max_tokens == 100
    assert all(sum(map(count_prompt_tokens, section.sources)) <= max_tokens for section in sections)
    assert all(
        [source.number for source in section.sources] == list(range(1, 1 + len(section.sources)))
        for section in sections
    )
    if sections:
        given = "".join(source.text for section in sections for source in section.sources)
        assert "".join(given.split()) == "".join("".join(pages).split())
    assert [source.number for source in all_sources(sections)] == list(range(1, 1 + len(all_sources(sections))))


def test_a_section_is_a_chapter_and_begins_at_its_title():
    """A page with a header above the title belongs to the new chapter."""
    pages = book()
    pages[4] = "Chapter 2: Harbours 4\n" + pages[4]
    sections = cut_sections(sources_of(pages), 2_000)

    assert [(section.title, section.pages) for section in sections] == [
        (f"{number} {title}", (3 * number - 1 if number > 1 else 1, 3 * number + 1))
        for number, title in enumerate(CHAPTERS, 1)
    ]


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("It burns oil [2].", "It burns oil [12]."),
        ("It burns oil [1, 2]. Ships pass [7].", "It burns oil [11][12]. Ships pass."),
        ("The lamp burns oil.", "The lamp burns oil. [12]"),
        ("", "Ships pass. [11]"),
    ],
)
def test_the_summary_of_a_section_cites_its_own_pages(answer, text):
    """Numbers are those of the whole summary; unknown ones are removed, and a text without any cites what it matches."""
    sources = (
        Source(1, "doc_a", "a.pdf", 4, "Ships pass. Gulls cry.", 0.0),
        Source(2, "doc_a", "a.pdf", 5, "The lamp burns oil.", 0.0),
    )
    summary = section_summary(cut_sections(sources, 1_000)[0], answer, 10)

    assert summary.text == text
    assert list(find_marks(summary.text, [Source(n, "", "", n, "", 0.0) for n in range(1, 20)]))


def test_many_summaries_are_combined_in_groups_that_fit():
    """Each round has fewer summaries, so combining them ends, even if one alone is too long."""
    sections = cut_sections(sources_of(book()), 300)
    summaries = [section_summary(section, PROSE * 3, 0) for section in sections]

    for max_tokens in (10, 200, 500):
        groups = group_summaries(summaries, max_tokens)
        assert [summary for group in groups for summary in group] == summaries
        assert len(groups) <= (len(summaries) + 1) // 2
    assert combine_summaries(summaries, "Short [1].").pages == (1, len(book()))
    assert all(title in format_sections(summaries) for title in CHAPTERS)


@pytest.mark.parametrize(
    ("message", "is_summary", "is_whole", "is_brief"),
    [
        ("Summarize this document.", True, True, False),
        ("What are the main points of the manual?", True, True, False),
        ("Give me a chapter by chapter summary", True, True, False),
        ("tl;dr", True, True, True),
        ("Summarize it in two sentences", True, True, True),
        ("Fasse das Handbuch zusammen", True, True, False),
        ("Résume ce livre", True, True, False),
        ("Кратко изложи документ", True, True, True),
        ("请总结这本手册", True, True, False),
        ("この文書を要約してください", True, True, False),
        ("Who wrote this?", False, True, False),
        ("Summarize the leave policy", False, False, False),
        ("Which summary statistics does the tool print?", False, False, False),
    ],
)
def test_a_request_for_a_summary_is_recognized(message, is_summary, is_whole, is_brief):
    """In many languages, and not where the message names another subject."""
    assert (asks_for_summary(message), asks_for_whole_document(message), asks_for_brief_answer(message)) == (
        is_summary,
        is_whole,
        is_brief,
    )


@pytest.fixture
def summary_env(env):
    """Sections of a chapter each; the worker of a lost lease is noticed soon."""
    return env | {
        "CHATQUEUE_DOCUMENT_WHOLE_TOKENS": "900",
        "CHATQUEUE_LEASE_SECONDS": "2",
        "CHATQUEUE_HEARTBEAT_SECONDS": "0.3",
        "CHATQUEUE_REDIS_TIMEOUT_SECONDS": "1.5",
        "CHATQUEUE_QUARANTINE_AFTER_WORKER_LOSSES": "50",
    }


@pytest.fixture
def summary_client(summary_env):
    with in_process.web(summary_env) as client:
        yield client


def total_calls(model_url):
    with urllib.request.urlopen(model_url.removesuffix("/v1") + "/offline/calls", timeout=5) as reply:
        return json.load(reply)["total"]


def ask_for_summary(client, document_id):
    status, accepted = client.call(
        "POST", "/chat/async", {"message": "Summarize this document.", "documents": [document_id]}
    )
    assert status == 202, accepted
    return accepted["job_id"]


def section_events(redis_client, task_id):
    events = [json.loads(line) for line in redis_client.lrange(f"cq:events:{task_id}", 0, -1)]
    return [event["section"] for event in events if event["type"] == "section"]


@pytest.fixture
def book_id(summary_env, summary_client):
    with in_process.worker(summary_env):
        return summary_client.upload_and_ingest(make_pdf(book()), "book.pdf")


@pytest.mark.timeout(180)
def test_a_killed_worker_costs_a_summary_no_finished_call(
    summary_env, summary_client, book_id, model_url, redis_client
):
    """Two workers die after a step. The answer is whole, names and cites every chapter, and no step was done twice."""
    faults = {
        "PYTHONPATH": f"{PROJECT_ROOT}/tests/documents/faults:{PROJECT_ROOT}",
        "CRASH_AT": "step",
        "CRASH_AFTER_STEPS": "1",
    }
    before, task_id = total_calls(model_url), ask_for_summary(summary_client, book_id)
    for _ in range(KILLS):
        with in_process.worker(summary_env | faults) as worker:
            assert worker.wait(30) == -signal.SIGKILL
    partial = summary_client.call("GET", f"/tasks/{task_id}")[1]
    with in_process.worker(summary_env):
        until(lambda: summary_client.call("GET", f"/tasks/{task_id}")[1]["status"] == "completed", 60)
    done, task = section_events(redis_client, task_id), summary_client.call("GET", f"/tasks/{task_id}/result")[1]
    result = task["result"]

    assert 0 < partial["progress"]["pages_done"] < partial["progress"]["pages"] == len(book())
    assert len({section["key"] for section in done}) == len(done)
    assert len([section for section in done if section["document_id"]]) == len(CHAPTERS)  # the others combine some
    own_calls = 1 + (KILLS + 1)  # the overview, and the embedding of the question for each attempt
    assert total_calls(model_url) - before <= len(done) + own_calls + KILLS * (MAX_CONCURRENT_CALLS - 1)
    assert all(f"**{number} {title}" in result["text"] for number, title in enumerate(CHAPTERS, 1))
    assert {3 * number - 1 for number in range(1, len(CHAPTERS) + 1)} <= {
        citation["page"] for citation in result["citations"]
    }
    assert all(citation["quote"] in book()[citation["page"] - 1] for citation in result["citations"])
    assert result["usage"]["input_tokens"] > 100 * len(CHAPTERS)  # all sections are counted, not the last call alone
