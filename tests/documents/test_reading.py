"""Reading: the text of a file page by page, and faults that affect only the file that has them."""

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
    DynamicForm,
    EmptyDocument,
    EncryptedDocument,
    ExpandedDocumentTooLarge,
    GarbledText,
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
from documents.reading.garbled_text import is_garbled
from documents.reading.text_reader import TextReader
from tests.documents.conftest import LIMITS, SIZE, read
from tests.documents.factories import assemble, draw, make_pdf
from tests.support.waiting import until

FACTS = ["The lighthouse was built in 1847.", "Its lamp burns whale oil.", "The keeper's cat is called Ahab."]


@pytest.fixture
def save(tmp_path):
    def write(data: bytes, name: str = "a.pdf") -> Path:
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return write


def reading_processes() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "documents.reading.process" in child.cmdline()]


def test_each_page_has_its_own_text_and_number(save):
    """A citation names a page, so text must never be attributed to the wrong one."""
    pages = [read_page.page for read_page in read(save(make_pdf(FACTS)))]

    assert [(page.number, page.count, page.text) for page in pages] == [
        (number, 3, fact) for number, fact in enumerate(FACTS, start=1)
    ]


def test_chunks_are_verbatim_on_their_page(save):
    """Chunk indexes continue through the document, without gaps."""
    pages = read(save(make_pdf(["\n".join(f"{fact} Line {n}." for n in range(60)) for fact in FACTS])))
    chunks = [chunk for page in pages for chunk in page.chunks]

    assert len(chunks) > 3
    assert [chunk.index for chunk in chunks] == list(range(len(chunks)))
    assert all(chunk.text == page.page.text[chunk.start : chunk.end] for page in pages for chunk in page.chunks)


def test_a_page_without_text_is_reported_and_the_others_are_read(save):
    """Scanned pages are not skipped silently."""
    pages = [read_page.page for read_page in read(save(make_pdf([FACTS[0], "", FACTS[2]])))]

    assert [page.problem for page in pages] == [None, "no_text", None]


def note(subtype: bytes, entries: bytes) -> bytes:
    return b"<< /Type /Annot /Subtype /%s /Rect [50 100 300 130] /F 4 %s >>" % (subtype, entries)


@pytest.mark.parametrize(
    "annotation",
    [
        note(b"FreeText", b"/Contents (Approved on 4 May.) /DA (/Helv 10 Tf)"),
        note(b"Text", b"/Contents (Approved on 4 May.)"),
        note(b"Highlight", b"/Contents (Approved on 4 May.) /QuadPoints [50 130 300 130 50 100 300 100]"),
        note(b"Widget", b"/FT /Tx /T (date) /V (Approved on 4 May.) /DA (/Helv 10 Tf)"),
    ],
    ids=["free text", "comment", "highlight", "form field"],
)
@pytest.mark.parametrize("printed", [FACTS[0], ""], ids=["printed page", "blank page"])
def test_form_values_and_comments_are_read(save, annotation, printed):
    """People upload filled forms and reviewed drafts; the value is what they ask about."""
    form = b"/AcroForm << /Fields [%s] /DA (/Helv 10 Tf) >>" % annotation
    (read_page,) = read(save(assemble([draw(printed)], annotations=[annotation], catalog=form)))

    assert read_page.page.text.split("\n\n") == [*([printed] if printed else []), "Approved on 4 May."]


def test_a_hidden_comment_is_not_read(save):
    """A page shows it to nobody."""
    annotation = note(b"Text", b"/Contents (Approved on 4 May.)").replace(b"/F 4", b"/F 2")
    (read_page,) = read(save(assemble([draw(FACTS[0])], annotations=[annotation])))

    assert read_page.page.text == FACTS[0]


SECRET = b"BT /F1 %s Tf %s 40 700 Td (The secret is nine.) Tj ET"


@pytest.mark.parametrize(
    ("commands", "is_read"),
    [
        (SECRET % (b"9", b"1 1 1 rg"), False),
        (SECRET % (b"9", b"0.98 1 0.99 rg"), False),
        (b"0 0 0.5 rg 30 690 300 30 re f " + SECRET % (b"9", b"0 0 0.5 rg"), False),
        (SECRET % (b"1", b"0 g"), False),
        (SECRET % (b"9", b"3 Tr"), False),
        (b"0 0 0.5 rg 30 690 300 30 re f " + SECRET % (b"9", b"1 1 1 rg"), True),
        (b"q 300 0 0 30 30 690 cm BI /W 1 /H 1 /CS /G /BPC 8 ID \x80 EI Q " + SECRET % (b"9", b"3 Tr"), True),
        (SECRET % (b"5", b"0.5 g"), True),
    ],
    ids=["white", "nearly white", "blue on blue", "tiny", "invisible", "white on blue", "text of a scan", "grey"],
)
def test_text_that_nobody_sees_is_no_evidence(save, commands, is_read):
    """A citation would quote what a person who opens the page cannot find."""
    visible = b" BT 0 g 0 Tr /F1 9 Tf 40 800 Td (A page.) Tj ET"
    (read_page,) = read(save(assemble([zlib.compress(commands + visible)])))

    assert ("secret" in read_page.page.text) is is_read
    assert "A page." in read_page.page.text


NONSENSE = zlib.compress(b"BT /F1 9 Tf 40 700 Td (%s) Tj ET" % (b"\x01\x04\x11\x12 \x05\x06" * 20))


def test_a_page_of_nonsense_is_reported_and_not_read(save):
    """Nobody can find or check it. Without a report the user believes that the document was read."""
    pages = [read_page.page for read_page in read(save(assemble([draw(FACTS[0]), NONSENSE])))]

    assert [(page.text, page.problem) for page in pages] == [(FACTS[0], None), ("", "garbled")]


@pytest.mark.parametrize(
    ("text", "nonsense"),
    [
        ("+HUDXVJHEHU *HPHLQGHYHUZDOWXQJ 6WDGW", True),
        ("\ufffd\ufffd\ufffd", True),
        ("KEY INVESTOR INFORMATION FOR THE FUND", False),
        ("メニューの「スタート」を押下します。一覧の中にあるのソフト", False),
        ("Сегодня мы читаем книгу о китах и море", False),
        ("No 5", False),
    ],
)
def test_unmapped_codes_are_nonsense_only_if_they_are_no_words(text, nonsense):
    """Fonts without a map to Unicode whose codes are Unicode read right."""
    assert is_garbled([(ord(character), True) for character in text]) is nonsense


def test_a_document_without_text_is_called_scanned_only_if_it_holds_images(save):
    """The message must not send the author of an empty form to an OCR."""
    scan = zlib.compress(b"q 300 0 0 30 30 690 cm BI /W 1 /H 1 /CS /G /BPC 8 ID \x80 EI Q")

    with pytest.raises(NoText, match="OCR"):
        read(save(assemble([scan])))
    with pytest.raises(NoText, match=r"^no page contains text$"):
        read(save(make_pdf([""])))


def test_pages_have_the_labels_that_are_printed_on_them(save):
    """Manuals number their first pages i, ii, iii; people know pages by these names."""
    labels = b"/PageLabels << /Nums [0 << /S /r >> 2 << /S /D >>] >>"
    pages = read(save(assemble([draw(fact) for fact in FACTS], catalog=labels)))

    assert [read_page.page.label for read_page in pages] == ["i", "ii", "1"]
    assert {read_page.page.label for read_page in read(save(make_pdf(FACTS)))} == {None}


def test_a_hyphen_at_a_line_end_belongs_to_a_word_that_has_it_elsewhere(save):
    """A search for the compound would miss it. Words that are only divided stay as printed."""
    texts = ["A price-determining factor.", "The Price-\ndetermining, an en-\ncoding and price-\ncutting."]

    assert [read_page.page.text for read_page in read(save(make_pdf(texts)))] == [
        texts[0],
        "The Price-determining,\nan en-\ncoding and price-\ncutting.",
    ]


def test_a_pdf_without_its_end_is_told_from_one_that_is_damaged_otherwise(save):
    """The first was cut on its way, and can be sent again."""
    with pytest.raises(DamagedDocument, match="end is missing"):
        read(save(make_pdf(FACTS)[:60]))
    with pytest.raises(DamagedDocument, match="save it again"):
        read(save(b"%PDF-1.7\n" + b"\xff" * 500 + b"\n%%EOF"))


def test_attached_files_are_counted(save):
    """Their content is not read, which the document must not keep to itself."""
    file = b"<< /Type /Filespec /F (a.txt) /EF << /F 3 0 R >> >>"
    names = b"/Names << /EmbeddedFiles << /Names [(a.txt) %s] >> >>" % file

    assert read(save(assemble([draw(FACTS[0])], catalog=names)))[0].page.attachments == 1
    assert read(save(make_pdf(FACTS)))[0].page.attachments == 0


def test_a_dynamic_form_is_refused_with_its_own_error(save):
    """Its pages hold only a request to open it in another program."""
    form = b"/NeedsRendering true /AcroForm << /Fields [] /XFA [(template) 3 0 R] >>"

    with pytest.raises(DynamicForm):
        read(save(assemble([draw("Please wait...")], catalog=form)))


def test_a_damaged_page_does_not_affect_the_others(save):
    """One damaged page must not cost the text of the other pages."""
    data = make_pdf(FACTS).replace(b"/Type /Page /Parent 2 0 R /MediaBox", b"/Type /Nope", 1)

    assert [read_page.page.text for read_page in read(save(data))][1:] == FACTS[1:]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("data", "error"),
    [
        (make_pdf(["", ""]), NoText),
        (assemble([NONSENSE]), GarbledText),
        (make_pdf(FACTS, encrypted=True), EncryptedDocument),
        (make_pdf([]), NoPages),
        (make_pdf(FACTS)[:60], DamagedDocument),
        (b"%PDF-1.7\n" + b"\xff" * 5_000, DamagedDocument),
        (make_pdf(["x"] * 501), TooManyPages),
        (make_pdf(["\n".join(["many characters"] * 150_000)]), ExpandedDocumentTooLarge),
        (make_pdf(["\n".join(["words " * 15] * 70)] * 450), ExpandedDocumentTooLarge),
    ],
    ids=[
        "no text",
        "garbled",
        "encrypted",
        "no pages",
        "truncated",
        "random bytes",
        "too many pages",
        "too much text on a page",
        "too much text in total",
    ],
)
def test_each_fault_of_a_file_has_its_own_error(save, data, error):
    """The caller learns from the code what is wrong with the file."""
    with pytest.raises(error):
        read(save(data))


@pytest.mark.slow
def test_a_decompression_bomb_stays_within_its_memory_limit(save):
    """Half a megabyte expands to half a gigabyte, more than the memory of the reading process."""
    path = save(assemble([zlib.compress(b"%" + b" " * 500_000_000)]))

    assert path.stat().st_size < 1_000_000
    with pytest.raises(UnreadableDocument):
        read(path, memory_bytes=384 * 1024**2)
    assert reading_processes() == []


def test_a_reader_that_exceeds_its_time_limit_is_killed(save):
    """A hanging parser must not occupy a slot of the worker forever."""
    with pytest.raises(ReadingTimedOut):
        read(save(make_pdf(FACTS)), seconds=0.001)
    assert reading_processes() == []


@pytest.mark.parametrize(("number", "error"), [(signal.SIGSEGV, DamagedDocument), (signal.SIGKILL, ReadingInterrupted)])
def test_a_crash_of_the_reader_is_final_and_a_kill_is_retried(save, number, error):
    """A crash is caused by the document. A process killed from outside justifies another attempt."""

    def kill_reader():
        process = until(lambda: next(iter(reading_processes()), None))
        process.send_signal(number)

    async def read_and_kill():
        reading = asyncio.create_task(_read_all(save(make_pdf(["word " * 500] * 500))))
        await asyncio.to_thread(kill_reader)
        await reading

    with pytest.raises(error):
        asyncio.run(read_and_kill())


async def _read_all(path):
    async with aclosing(TextReader(1, LIMITS, SIZE).read(path, "pdf")) as pages:
        return [page async for page in pages]


def test_a_cancelled_reading_leaves_no_process(save):
    """A cancelled ingest does not keep reading in the background."""

    async def first_page():
        async with aclosing(TextReader(1, LIMITS, SIZE).read(save(make_pdf(FACTS * 100)), "pdf")) as pages:
            return await anext(pages)

    assert asyncio.run(first_page()).page.text == FACTS[0]
    assert reading_processes() == []


def test_the_reading_process_exits_with_its_worker(save):
    """The end of its input signals the death of the worker. Otherwise it would continue without a reader."""
    request = {"path": str(save(make_pdf(FACTS * 100))), "file_type": "pdf", "size": asdict(SIZE), **asdict(LIMITS)}
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-m", "documents.reading.process"], stdin=pipe, stdout=pipe) as process:
        process.stdin.write(json.dumps(request).encode() + b"\n")
        process.stdin.flush()
        process.stdout.readline()
        process.stdin.close()

        assert process.wait(timeout=15) == 1


@pytest.mark.slow
def test_the_event_loop_is_not_blocked_while_a_document_is_read(save):
    """Other jobs of the worker are not delayed: the parser runs in a process of its own."""
    path = save(make_pdf(["\n".join(["word " * 20] * 60)] * 100))

    async def watch():
        loop, gaps, reading = asyncio.get_running_loop(), [], asyncio.create_task(_read_all(path))
        while not reading.done():
            before = loop.time()
            await asyncio.sleep(0)
            gaps.append(loop.time() - before)
        return len(reading.result()), max(gaps)

    pages, longest_gap = asyncio.run(watch())
    assert pages == 100
    assert longest_gap < 1


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
    """Byte order marks are honoured, line ends are normalized, and form feeds separate pages."""
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
def test_text_of_unknown_encoding_is_rejected(save, data, error):
    """An error is better than garbage in the index."""
    with pytest.raises(error):
        read(save(data), "text")


GERMAN, JAPANESE = "Der Käufer zahlt fünf Gulden.", "灯台は一八四七年に建てられた。"


@pytest.mark.parametrize(
    ("text", "charset"),
    [
        (GERMAN, "iso-8859-1"),
        (GERMAN, "Windows-1252"),
        (GERMAN, "utf-16-be"),
        (JAPANESE, "shift_jis"),
        (JAPANESE, "euc-jp"),
        ("Маяк построен в 1847 году.", "koi8-r"),
        ("灯塔建于一八四七年。", "gb2312"),
    ],
)
def test_a_declared_charset_is_honoured(save, text, charset):
    """A program that knows its encoding says so, and must not be asked to convert its files."""
    (read_page,) = read(save(text.encode(charset)), "text", charset)

    assert read_page.page.text == text


@pytest.mark.parametrize(
    ("data", "file_type", "text"),
    [
        (GERMAN.encode(), "text", GERMAN),
        (GERMAN.encode("utf-16-le"), "text", GERMAN),
        (JAPANESE.encode("iso-2022-jp"), "text", JAPANESE),
        (b"The words are fine. " * 30 + b"\xff", "text", "The words are fine. " * 30 + "\ufffd"),
        (b"N\bNA\bAM\bME\bE \x1b[1mbold\x1b[0m\a\x1a", "text", "NAME bold"),
        (
            '<?xml version="1.0" encoding="latin1"?>ä'.encode("latin-1"),
            "text",
            '<?xml version="1.0" encoding="latin1"?>ä',
        ),
        ("<meta charset=windows-1251><p>Маяк".encode("cp1251"), "html", "Маяк"),
    ],
    ids=["utf-8", "utf-16", "iso-2022-jp", "one bad byte", "manual page", "xml", "html"],
)
@pytest.mark.parametrize("charset", [None, "iso-8859-1"], ids=["undeclared", "declared by a careless program"])
def test_what_the_text_itself_shows_is_recognized(save, data, file_type, text, charset):
    """Only an encoding that would have to be guessed needs a declaration."""
    charset = None if file_type == "html" else charset  # a declared one has priority over the page's own
    (read_page,) = read(save(data), file_type, charset)

    assert read_page.page.text.replace("ÿ", "\ufffd") == text


def test_html_is_read_as_its_reader_sees_it(save):
    """A quote with tags is no quote, and words of a script are no evidence."""
    page = b"""<!-- x --><!doctype html><title>The  inn</title><style>p{}</style><script>var ransom = "fake<p>"</script>
        <body><h1>Prices</h1><p>A bed is <b>nine</b>\n camels&nbsp;&amp; a goat.<p hidden>secret
        <p style="display: none">secret
        <ul><li>one<li>two</ul><table><tr><td>Mon<td>closed</table><pre>a  b</pre>"""
    (read_page,) = read(save(page), sniff_type(save(page), "a.txt"))

    assert read_page.page.text == (
        "The inn\n\nPrices\n\nA bed is nine camels & a goat.\n\none\ntwo\n\nMon closed\n\na  b"
    )


MAIL = b"""From: Jo <jo@example.com>\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nMIME-Version: 1.0\r
Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: text/html; charset=iso-8859-1\r
Content-Transfer-Encoding: quoted-printable\r\n\r\n<p>F=FCnf Kamele</p>\r\n--x\r
Content-Type: application/pdf\r\nContent-Disposition: attachment; filename=a.pdf\r\n\r\nxx\r\n--x--\r\n"""


def test_a_mail_is_read_without_its_encoding(save):
    """Base64 and quoted-printable would be found by nobody. What is not read is counted."""
    (read_page,) = read(save(MAIL), sniff_type(save(MAIL), "a"))

    assert read_page.page.text == "From: Jo <jo@example.com>\nSubject: Grüße\n\nFünf Kamele"
    assert read_page.page.attachments == 1


def test_a_pdf_behind_other_data_is_not_called_a_text(save):
    """The remedy is to remove that data, not to convert an encoding."""
    data = b"junk " * 400 + make_pdf(FACTS) + b"\xe2\xe3\xcf\xd3" * 50

    with pytest.raises(DamagedDocument, match="other data"):
        read(save(data), sniff_type(save(data), "a.pdf"))


def test_a_long_text_is_cited_by_its_lines(save):
    """A log of millions of lines would be page 1 throughout."""
    path = save(b"".join(b"line %d of the log\n" % number for number in range(1, 1_202)))
    pages = [page.page for page in read(path, "text")]

    assert [page.label for page in pages] == ["lines 1\u2013500", "lines 501\u20131000", "lines 1001\u20131201"]
    assert pages[1].text.startswith("line 501 of")
    assert pages[2].text.endswith("line 1201 of the log")
    assert len(read(path, "text", max_pages=2)) == 2


def test_a_text_of_too_many_pages_is_rejected_quickly(save):
    """A form feed is a single byte, so a small file can have millions of pages; the limit is that of a PDF."""
    path = save(b"words\f" * 500 + b"words")

    assert len(read(path, "text", max_pages=501)) == 501
    with pytest.raises(TooManyPages):
        read(path, "text", max_pages=500)
    with pytest.raises(TooManyPages):
        read(save(b"words" + b"\f" * 5_000_000), "text", seconds=10)


@pytest.mark.parametrize(
    ("head", "name", "file_type"),
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
        ("words".encode("utf-16-le"), "a.txt", "text"),
        (b"N\bNAME\x1a", "a.txt", "text"),
        (b"words\x01", "a.txt", "text"),
        (b"<p>words", "a.htm", "html"),
        (b"<p>words", "a.txt", "text"),
        (b"<!DOCTYPE HTML>", "a", "html"),
        (b"Received: x\nSubject: y\n\nz", "a", "mail"),
        (b"Subject: y\nFor: z\n", "a.txt", "text"),
        (b"city;rate\nRome;120", "A.CSV", "csv"),
    ],
)
def test_the_file_type_is_detected_from_the_content(save, head, name, file_type):
    """The file name only distinguishes Markdown from text, and a text that mentions PDF from a PDF."""
    assert sniff_type(save(head), name) == file_type


@pytest.mark.parametrize(
    "head", [b"PK\x03\x04", b"\x89PNG\r\n\x1a\n\0", b"\x7fELF\x02", b"\x1f\x8b\x08\0", b"{\\rtf1", b"%!PS-"]
)
def test_files_that_are_neither_pdf_nor_text_are_rejected(save, head):
    """The extension .pdf does not make an archive, image or program a document."""
    with pytest.raises(UnsupportedDocument):
        sniff_type(save(head), "fine.pdf")


def mutate(data: bytes, seed: int) -> bytes:
    """Overwrite, delete and duplicate random bytes, and truncate the end."""
    rng, mutated = random.Random(seed), bytearray(data)
    for _ in range(rng.choice([1, 5, 30, 200])):
        at, length = rng.randrange(len(mutated)), rng.randrange(1, 200)
        change = rng.choice(["set", "set", "delete", "duplicate", "truncate"])
        if change == "set":
            mutated[at] = rng.randrange(256)
        elif change == "delete":
            mutated[at : at + length] = b""
        elif change == "duplicate":
            mutated[at:at] = mutated[at : at + length]
        else:
            del mutated[max(at, 50) :]
        if len(mutated) < 50:
            break
    return b"%PDF-1.4\n" + bytes(mutated)


@pytest.mark.slow
def test_mutated_pdfs_are_read_or_rejected(save, tmp_path):
    """None of 60 files, each damaged in its own way, causes a crash, a hang or a leftover file."""
    pdf = assemble([draw(f"{fact}\n" * 40) for fact in FACTS])

    async def read_each():
        reader = TextReader(2, LIMITS, SIZE)
        outcomes: list[int | type[DocumentError]] = []
        for seed in range(60):
            path = save(mutate(pdf, seed), "mutated.pdf")
            try:
                async with aclosing(reader.read(path, "pdf")) as pages:
                    outcomes.append(len([page async for page in pages]))
            except DocumentError as error:
                outcomes.append(type(error))
        return outcomes

    outcomes = asyncio.run(read_each())

    assert ReadingInterrupted not in outcomes
    assert len(set(outcomes)) > 2
    assert reading_processes() == []
    assert [path.name for path in tmp_path.iterdir()] == ["mutated.pdf"]


def installed_pdfs() -> list[Path]:
    """The PDFs of installed Debian and Python packages, and those in the folder CHATQUEUE_TEST_PDFS."""
    folders = ["/usr/share/doc", *site.getsitepackages(), os.environ.get("CHATQUEUE_TEST_PDFS", "")]
    return [path for folder in folders if folder for path in sorted(Path(folder).rglob("*.pdf"))]


@pytest.mark.slow
def test_every_installed_pdf_is_read():
    """In real documents most pages have text, and every chunk is verbatim on its page."""
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


@pytest.mark.skipif(sys.platform != "linux", reason="the guards are Linux's")
def test_the_reader_has_no_secret_and_no_rights(save, monkeypatch):
    """A parser that a file takes over must find neither the provider's key nor a way out."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    monkeypatch.setenv("REDIS_URL", "redis://:canary@127.0.0.1/0")
    path = save(make_pdf(FACTS * 100))

    async def look():
        async with aclosing(TextReader(1, LIMITS, SIZE).read(path, "pdf")) as pages:
            await anext(pages)
            (reader,) = reading_processes()
            status = Path(f"/proc/{reader.pid}/status").read_text()  # noqa: ASYNC240
            return reader.environ(), dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)

    environment, status = asyncio.run(look())
    assert not any("canary" in value for value in environment.values())
    assert set(environment) <= {"PATH", "PYTHONPATH", "PYTHONHOME", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH"}
    assert status["NoNewPrivs"] == "1"
    if "Seccomp" in status:
        assert status["Seccomp"] == "2"
