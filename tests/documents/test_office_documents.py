"""Office documents, e-books and tables of values: all of their text, each row with its headers, hostile files refused."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from documents.errors import (
    DamagedDocument,
    DocumentError,
    EncryptedDocument,
    ExpandedDocumentTooLarge,
    NoText,
    TooManyPages,
    UnsupportedDocument,
)
from documents.file_type import sniff_type
from documents.reading.csv_text import read_csv
from documents.reading.html_text import html_to_text
from documents.reading.office.reader import read_office
from documents.reading.tables import table_lines
from tests.documents.conftest import read

SAMPLES = Path(__file__).parent / "samples"  # by python-docx, openpyxl, python-pptx, xlwt, odfpy and msoffcrypto-tool
RATES = [
    "Region: South | City: Rome | Per diem: 52",
    "Region: South | City: Lisbon | Per diem: 47",
    "Region: North | City: Oslo | Per diem: 81",
]
BOOK = {
    "mimetype": "application/epub+zip",
    "META-INF/container.xml": '<container><rootfiles><rootfile full-path="a/book.opf"/></rootfiles></container>',
    "a/book.opf": """<package><manifest><item id="x" href="one.xhtml" media-type="application/xhtml+xml"/>
        <item id="y" href="chapter%202.xhtml" media-type="application/xhtml+xml"/>
        <item id="z" href="cover.png" media-type="image/png"/></manifest>
        <spine><itemref idref="z"/><itemref idref="y"/><itemref idref="x"/></spine></package>""",
    "a/one.xhtml": "<html><title>Book</title><body><h1>The whale</h1><p>It burns.</p></body></html>",
    "a/chapter 2.xhtml": """<html><body><h2>The rates</h2><table><tr><th>City<th>Rate</tr>
        <tr><td>Rome<td>52</tr><tr><td>Oslo<td>81</tr></table></body></html>""",
}


def pack(parts: Mapping[str, str | bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as package:
        for name, content in parts.items():
            package.writestr(name, content, zipfile.ZIP_STORED if name == "mimetype" else zipfile.ZIP_DEFLATED)
    return file.getvalue()


def replaced(sample: str, name: str, content: str | bytes) -> bytes:
    """The sample with another content of one part."""
    with zipfile.ZipFile(SAMPLES / sample) as package:
        return pack({part: content if part == name else package.read(part) for part in package.namelist()})


@pytest.fixture
def save(tmp_path):
    def write(data: bytes) -> Path:
        path = tmp_path / "file"
        path.write_bytes(data)
        return path

    return write


def read_all(path: Path, name: str = "", **limits: int) -> list[tuple[str | None, list[str]]]:
    """The label and the paragraphs of each section, read in this process."""
    limits = {"max_pages": 100, "max_bytes": 20_000_000} | limits
    pages = list(read_office(path, sniff_type(path, name), **limits))
    assert [page.number for page in pages] == list(range(1, len(pages) + 1))
    return [(page.label, page.text.split("\n\n") if page.text else []) for page in pages]


def test_a_word_document_is_read_by_its_headings():
    """Tables keep their rows, merged cells count for each row, text boxes and insertions are read, deletions are not."""
    assert read_all(SAMPLES / "handbook.docx") == [
        ("Leave", ["Staff handbook", "Leave", "Every employee has 30 days of leave. Unused days expire in March."]),
        ("Parental leave", ["Parental leave", "Parents have 12 weeks.", "Apply in May."]),
        ("Travel", ["Travel", *RATES]),
        ("Headers and footers", ["Camel Hotels Ltd"]),
    ]


def test_a_presentation_is_read_slide_by_slide():
    """The number of a page is that of the slide, so notes and empty slides must not move it."""
    assert read_all(SAMPLES / "desk.pptx") == [
        (None, []),
        (None, ["Opening hours", "The desk opens at seven.", "Ring twice.", "Mention breakfast."]),
        (None, ["Rates", *RATES]),
    ]


def test_a_spreadsheet_is_read_sheet_by_sheet():
    """Each row is complete in itself. A hidden sheet is seen by nobody."""
    assert read_all(SAMPLES / "rates.xlsx") == [
        ("Rates", ["Travel rates of 2026", *RATES]),
        ("Opening", ["Hotel: Astoria | Opens: 2026-03-01", "Hotel: Bristol | Opens: 2026-04-02 09:30:00"]),
        ("Lists", []),
    ]
    assert read_all(SAMPLES / "rates.xls") == [("Rates", RATES)]


def test_an_open_document_is_read_by_its_headings():
    """As LibreOffice writes it."""
    assert read_all(SAMPLES / "handbook.odt") == [
        ("Leave", ["Leave", "Every employee has 30 days of leave.", "Except in the first year."]),
        ("Travel", ["Travel", *RATES]),
    ]


def test_an_e_book_is_read_in_its_reading_order(save):
    """Names of chapters are encoded as in URLs; a chapter that is not found would be lost."""
    assert read_all(save(pack(BOOK))) == [
        ("The rates", ["The rates", "City: Rome | Rate: 52", "City: Oslo | Rate: 81"]),
        ("The whale", ["Book", "The whale", "It burns."]),
    ]


@pytest.mark.parametrize("sample", ["handbook.docx", "rates.xlsx", "rates.xls", "desk.pptx", "handbook.odt"])
def test_office_documents_are_read_in_the_confined_process(sample):
    """The reader has no network, no other files and no rights; what it needs must be loaded within these limits."""
    path = SAMPLES / sample
    pages = read(path, sniff_type(path, "wrong.pdf"))

    assert RATES[1] in "\n\n".join(page.page.text for page in pages) or sample == "handbook.odt"
    assert all(chunk.text == page.page.text[chunk.start : chunk.end] for page in pages for chunk in page.chunks)


ENTITY = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x {}>]><w:document xmlns:w="w"><w:body><w:p><w:t>&x;</w:t></w:p>'
MAIN = "word/document.xml"
RELATIONSHIPS = '<a><Relationship Id="x" Type="a/officeDocument" Target="word/document.xml"/></a>'


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (replaced("handbook.docx", MAIN, ENTITY.format('"bomb"')), DamagedDocument),
        (replaced("handbook.docx", MAIN, ENTITY.format('SYSTEM "file:///etc/passwd"')), DamagedDocument),
        (replaced("handbook.docx", MAIN, b"<a>" * 1_000), ExpandedDocumentTooLarge),
        (replaced("handbook.docx", MAIN, b"<a>" + b" " * 3_000_000), ExpandedDocumentTooLarge),
        (pack({"_rels/.rels": RELATIONSHIPS, MAIN: "<document/>"}), NoText),
        (replaced("rates.xlsx", "xl/worksheets/sheet1.xml", b"<a>" + b" " * 3_000_000), ExpandedDocumentTooLarge),
        (pack({f"word/document{number}": "" for number in range(20_001)}), ExpandedDocumentTooLarge),
        (pack({"word/document.xml": "<document/>"}), DamagedDocument),
        (pack({"letter.txt": "words"}), UnsupportedDocument),
        (pack(BOOK | {"META-INF/encryption.xml": '<e><EncryptionMethod Algorithm="x"/></e>'}), EncryptedDocument),
        (pack({"mimetype": BOOK["mimetype"]}), DamagedDocument),
        ((SAMPLES / "handbook.docx").read_bytes()[:20_000], DamagedDocument),
        ((SAMPLES / "rates.xlsx").read_bytes()[:-30], DamagedDocument),
        ((SAMPLES / "rates.xls").read_bytes()[:2_000], UnsupportedDocument),
        ((SAMPLES / "locked.xlsx").read_bytes(), EncryptedDocument),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "WordDocument".encode("utf-16-le"), UnsupportedDocument),
    ],
    ids=str.split(
        "entity external_entity deep bomb empty bomb_of_a_sheet parts no_relationships archive copy_protection no_book "
        "cut cut_sheet cut_old_sheet password old_Word"
    ),
)
def test_hostile_and_damaged_office_documents_have_a_clear_error(save, data, error):
    """Nothing is expanded, loaded or guessed. Each fault is named as what it is."""
    with pytest.raises(error) as caught:
        read_all(save(data), "a.docx", max_bytes=2_000_000)

    assert type(caught.value) is error
    assert "Traceback" not in caught.value.message


def test_a_workbook_of_too_many_sheets_is_refused_before_they_are_read():
    """Ten thousand sheets fit into a small file."""
    with pytest.raises(TooManyPages, match="3 sheets"):
        read_all(SAMPLES / "rates.xlsx", max_pages=2)
    with pytest.raises(TooManyPages):
        read_all(SAMPLES / "handbook.docx", max_pages=2)


@pytest.mark.parametrize("seed", range(3))
def test_mutated_office_documents_are_read_or_refused(save, seed):
    """No byte of a file makes the reader fail in another way than with an error of its own."""
    for name in ("handbook.docx", "handbook.odt", "rates.xls", "desk.pptx"):
        data = bytearray((SAMPLES / name).read_bytes())
        for place in range(seed * 37 + 11, len(data), len(data) // 9):
            data[place] ^= 0x55
        try:
            read_all(save(bytes(data)), name)
        except DocumentError:
            continue


@pytest.mark.parametrize(
    ("rows", "lines"),
    [
        ([["City", "Rate"], ["Rome", "52"]], ["City: Rome | Rate: 52"]),
        ([["Name:", "Ann"], ["Job:", "Cook"]], ["Name: | Ann", "Job: | Cook"]),
        ([["3", "4"], ["5", "6"]], ["3 | 4", "5 | 6"]),
        ([["Prices", ""], ["City", "Rate"], ["", "52"]], ["Prices", "Rate: 52"]),
        (
            [["City", "Rate"], ["Rome", "52"], ["", ""], ["Oslo", "81"]],
            ["City: Rome | Rate: 52", "City: Oslo | Rate: 81"],
        ),
        (
            [["City", "Rate"], ["Rome", "52"], [], ["Name", "Age"], ["Ann", "33"]],
            ["City: Rome | Rate: 52", "Name: Ann | Age: 33"],
        ),
        ([["Only", "headers"]], ["Only | headers"]),
        ([], []),
    ],
)
def test_each_row_of_a_table_has_its_headers(rows, lines):
    """What is no header is not made one: titles, forms, and tables of numbers alone."""
    assert list(table_lines(rows)) == lines


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_csv_keeps_its_header_with_each_row(delimiter):
    """A chunk in the middle of a long table must show what its values mean."""
    rows = [["City", "Rate", "Note"], *([f"Town {number}", str(number), '"a ""b"", c"'] for number in range(1_500))]
    first, second = read_csv("\r\n".join(delimiter.join(row) for row in rows), max_pages=2)

    assert first.text.startswith('City | Rate | Note\n\nCity: Town 0 | Rate: 0 | Note: a "b", c\n\n')
    assert second.text.endswith('City: Town 1499 | Rate: 1499 | Note: a "b", c')
    assert (first.label, second.label) == ("rows 1\u20131000", "rows 1001\u20131501")
    with pytest.raises(TooManyPages):
        list(read_csv("a,b\n" * 2_001, max_pages=2))


def test_a_table_of_a_web_page_keeps_its_headers():
    """Tables without column headers are mostly layout, and stay as they are."""
    html = "<table><thead><tr><th>City<th>Rate<tbody><tr><td>Rome<td>52<tr><td>Oslo<td>81</table><p>End"

    assert html_to_text(html) == "City: Rome | Rate: 52\n\nCity: Oslo | Rate: 81\n\nEnd"
    assert html_to_text("<table><tr><th>Name<td>Ann<tr><th>Job<td>Cook</table>") == "Name Ann\nJob Cook"
