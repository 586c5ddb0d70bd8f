"""A file's text page by page; and whatever is wrong with a file costs that file only."""

import asyncio
import json
import os
import random
import signal
import site
import subprocess
import sys
import zlib
from contextlib import aclosing
from dataclasses import asdict
from pathlib import Path

import psutil
import pytest

from documents.errors import (
    DamagedDocument,
    DocumentError,
    EmptyDocument,
    EncryptedDocument,
    ExpandedDocumentTooLarge,
    NoPages,
    NoText,
    ReadingInterrupted,
    ReadingTimedOut,
    TooManyPages,
    UnknownEncoding,
    UnreadableDocument,
    UnsupportedDocument,
)
from documents.file_type import sniff_type
from documents.reading.text_reader import TextReader
from tests.documents.conftest import LIMITS, SIZE, read
from tests.documents.factories import assemble, draw, make_pdf
from tests.waiting import until

FACTS = ["The lighthouse was built in 1847.", "Its lamp burns whale oil.", "The keeper's cat is called Ahab."]


@pytest.fixture
def save(tmp_path):
    def write(data: bytes, name: str = "a.pdf") -> Path:
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return write


def children() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "documents.reading.process" in child.cmdline()]


def test_each_page_has_its_own_text_and_number(save):
    """A citation is worth its page number."""
    pages = [read_page.page for read_page in read(save(make_pdf(FACTS)))]

    assert [(page.number, page.count, page.text) for page in pages] == [
        (number, 3, fact) for number, fact in enumerate(FACTS, start=1)
    ]


def test_chunks_are_literally_on_their_page(save):
    """Indexes run on through the document, without gaps."""
    pages = read(save(make_pdf(["\n".join(f"{fact} Line {n}." for n in range(60)) for fact in FACTS])))
    chunks = [chunk for page in pages for chunk in page.chunks]

    assert len(chunks) > 3
    assert [chunk.index for chunk in chunks] == list(range(len(chunks)))
    assert all(chunk.text == page.page.text[chunk.start : chunk.end] for page in pages for chunk in page.chunks)


def test_a_page_without_text_is_named_and_the_others_are_read(save):
    """Scanned pages are not silently skipped."""
    pages = [read_page.page for read_page in read(save(make_pdf([FACTS[0], "", FACTS[2]])))]

    assert [page.problem for page in pages] == [None, "no_text", None]


def test_a_page_that_is_damaged_costs_itself_only(save):
    data = make_pdf(FACTS).replace(b"/Type /Page /Parent 2 0 R /MediaBox", b"/Type /Nope", 1)

    assert [read_page.page.text for read_page in read(save(data))][1:] == FACTS[1:]


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (make_pdf(["", ""]), NoText),
        (make_pdf(FACTS, locked=True), EncryptedDocument),
        (make_pdf([]), NoPages),
        (make_pdf(FACTS)[:60], DamagedDocument),
        (b"%PDF-1.7\n" + b"\xff" * 5_000, DamagedDocument),
        (make_pdf(["x"] * 501), TooManyPages),
        (make_pdf(["\n".join(["many characters"] * 150_000)]), ExpandedDocumentTooLarge),
        (make_pdf(["\n".join(["words " * 15] * 70)] * 450), ExpandedDocumentTooLarge),
    ],
    ids=[
        "scanned",
        "locked",
        "no pages",
        "cut off",
        "nonsense",
        "too many pages",
        "text bomb of a page",
        "too much text",
    ],
)
def test_each_fault_has_an_error_of_its_own(save, data, error):
    with pytest.raises(error):
        read(save(data))


def test_a_decompression_bomb_ends_within_its_memory(save):
    """Half a megabyte that unfolds to half a gigabyte, in a process that has less."""
    path = save(assemble([zlib.compress(b"%" + b" " * 500_000_000)]))

    assert path.stat().st_size < 1_000_000
    with pytest.raises(UnreadableDocument):
        read(path, memory_bytes=384 * 1024**2)
    assert children() == []


def test_a_reader_that_takes_too_long_is_ended(save):
    with pytest.raises(ReadingTimedOut):
        read(save(make_pdf(FACTS)), seconds=0.001)
    assert children() == []


@pytest.mark.parametrize(("number", "error"), [(signal.SIGSEGV, DamagedDocument), (signal.SIGKILL, ReadingInterrupted)])
def test_a_crash_of_the_reader_is_the_documents_doing_and_a_kill_is_not(save, number, error):
    """What was killed from outside is worth another attempt."""

    def kill_reader():
        process = until(lambda: next(iter(children()), None))
        process.send_signal(number)

    async def read_and_kill():
        reading = asyncio.create_task(_all(save(make_pdf(["word " * 500] * 500))))
        await asyncio.to_thread(kill_reader)
        await reading

    with pytest.raises(error):
        asyncio.run(read_and_kill())


async def _all(path):
    async with aclosing(TextReader(1, LIMITS, SIZE).read(path, "pdf")) as pages:
        return [page async for page in pages]


def test_a_reading_that_is_cut_short_leaves_no_process(save):
    """A cancelled ingest reads no further."""

    async def first_page():
        async with aclosing(TextReader(1, LIMITS, SIZE).read(save(make_pdf(FACTS * 100)), "pdf")) as pages:
            return await anext(pages)

    assert asyncio.run(first_page()).page.text == FACTS[0]
    assert children() == []


def test_the_reader_ends_with_its_worker(save):
    """It hears of a worker's death by the end of its input: a reader of nobody would read on."""
    request = {"path": str(save(make_pdf(FACTS * 100))), "file_type": "pdf", "size": asdict(SIZE), **asdict(LIMITS)}
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-m", "documents.reading.process"], stdin=pipe, stdout=pipe) as process:
        process.stdin.write(json.dumps(request).encode() + b"\n")
        process.stdin.flush()
        process.stdout.readline()
        process.stdin.close()

        assert process.wait(timeout=15) == 1


def test_the_event_loop_runs_on_while_a_document_is_read(save):
    """The worker's other calls wait for nothing: the parser is in a process of its own."""
    path = save(make_pdf(["\n".join(["word " * 20] * 60)] * 100))

    async def watch():
        loop, gaps, reading = asyncio.get_running_loop(), [], asyncio.create_task(_all(path))
        while not reading.done():
            before = loop.time()
            await asyncio.sleep(0)
            gaps.append(loop.time() - before)
        return len(reading.result()), max(gaps)

    pages, longest = asyncio.run(watch())
    assert pages == 100
    assert longest < 1


@pytest.mark.parametrize(
    ("data", "texts"),
    [
        ("Grüße".encode(), ["Grüße"]),
        ("Grüße".encode("utf-8-sig"), ["Grüße"]),
        ("Grüße".encode("utf-16"), ["Grüße"]),
        ("Grüße".encode("utf-32"), ["Grüße"]),
        (b"one\r\ntwo\rthree", ["one\ntwo\nthree"]),
        (b"page one\fpage two\f", ["page one", "page two", ""]),
    ],
)
def test_text_is_read_in_every_marked_encoding(save, data, texts):
    assert [read_page.page.text for read_page in read(save(data), "text")] == texts


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ("Grüße".encode("latin-1"), UnknownEncoding),
        ("日本語".encode("shift-jis"), UnknownEncoding),
        (b" \n\f \t", EmptyDocument),
        (b"a\0b", UnsupportedDocument),
    ],
)
def test_text_that_would_have_to_be_guessed_is_refused(save, data, error):
    """Nonsense in the index is worse than a clear refusal."""
    with pytest.raises(error):
        read(save(data), "text")


def test_a_text_of_too_many_pages_is_refused_at_once(save):
    """Form feeds cost a byte each; the bound on pages is the same as for a PDF."""
    whole = save(b"words\f" * 500 + b"words")

    assert len(read(whole, "text", max_pages=501)) == 501
    with pytest.raises(TooManyPages):
        read(whole, "text", max_pages=500)
    with pytest.raises(TooManyPages):
        read(save(b"words" + b"\f" * 5_000_000), "text", seconds=10)


@pytest.mark.parametrize(
    ("head", "name", "kind"),
    [
        (b"%PDF-1.4", "a.txt", "pdf"),
        (b"junk before\n%PDF-1.4", "a", "pdf"),
        (b"junk before\n%PDF-1.4\n%\xe2\xe3\xcf\xd3", "a.txt", "pdf"),
        (b"%PDF-1.4 alone", "a.md", "pdf"),
        (b"# On PDF\nA file begins with `%PDF-1.7`", "a.md", "markdown"),
        ("Er beginnt mit %PDF-1.7, das hei\u00df".encode()[:-1], "a.txt", "text"),
        (b"# Title", "README.MD", "markdown"),
        (b"words", "a.pdf", "text"),
        ("words".encode("utf-16"), "a.txt", "text"),
    ],
)
def test_the_kind_is_told_by_the_content(head, name, kind):
    assert sniff_type(head, name) == kind


@pytest.mark.parametrize("head", [b"PK\x03\x04", b"\x89PNG\r\n\x1a\n\0", b"\x7fELF\x02", b"\x1f\x8b\x08\0"])
def test_what_is_neither_pdf_nor_text_is_refused(head):
    with pytest.raises(UnsupportedDocument):
        sniff_type(head, "fine.pdf")


def mutate(data: bytes, seed: int) -> bytes:
    """Bytes changed, cut out, doubled, and the end cut off."""
    rng, bad = random.Random(seed), bytearray(data)
    for _ in range(rng.choice([1, 5, 30, 200])):
        at, length = rng.randrange(len(bad)), rng.randrange(1, 200)
        change = rng.choice(["set", "set", "cut", "double", "end"])
        if change == "set":
            bad[at] = rng.randrange(256)
        elif change == "cut":
            bad[at : at + length] = b""
        elif change == "double":
            bad[at:at] = bad[at : at + length]
        else:
            del bad[max(at, 50) :]
        if len(bad) < 50:
            break
    return b"%PDF-1.4\n" + bytes(bad)


def test_mutated_pdfs_are_read_or_refused_and_nothing_else(save, tmp_path):
    """No crash, no hang, no file left: 60 files, each broken in its own way."""
    pdf = assemble([draw(f"{fact}\n" * 40) for fact in FACTS])

    async def try_each():
        reader, outcomes = TextReader(2, LIMITS, SIZE), []
        for seed in range(60):
            path = save(mutate(pdf, seed), "mutated.pdf")
            try:
                async with aclosing(reader.read(path, "pdf")) as pages:
                    outcomes.append(len([page async for page in pages]))
            except DocumentError as error:
                outcomes.append(type(error))
        return outcomes

    outcomes = asyncio.run(try_each())

    assert ReadingInterrupted not in outcomes
    assert len(set(outcomes)) > 2
    assert children() == []
    assert [path.name for path in tmp_path.iterdir()] == ["mutated.pdf"]


def installed_pdfs() -> list[Path]:
    """What Debian and Python packages brought along; more with CHATQUEUE_TEST_PDFS, a folder."""
    folders = ["/usr/share/doc", *site.getsitepackages(), os.environ.get("CHATQUEUE_TEST_PDFS", "")]
    return [path for folder in folders if folder for path in sorted(Path(folder).rglob("*.pdf"))]


def test_every_installed_pdf_is_read():
    """Real documents: most pages have text, and every chunk is on its page."""
    paths = installed_pdfs()
    if not paths:
        pytest.skip("no package on this machine ships a PDF; Debian's libtasn1-doc and shared-mime-info do")
    pages = [page for path in paths for page in _read_if_it_has_text(path)]

    assert sum(bool(page.page.text) for page in pages) > len(pages) * 0.8
    assert all(chunk.text == page.page.text[chunk.start : chunk.end] for page in pages for chunk in page.chunks)


def _read_if_it_has_text(path):
    try:
        return read(path)
    except NoText:  # an icon
        return []
