"""What people see of a PDF: the image of a page, the boxes of a quote on it, and the outline."""

import struct
import threading
import zlib

import pytest

from documents.errors import DamagedDocument, PageNotFound, ReadingTimedOut, ViewerBusy
from documents.models import OutlineEntry
from documents.reading import page_viewer
from documents.reading.page_viewer import PageViewer
from documents.reading.pdf_views import draw_page, locate_quote, read_outline
from documents.reading.quote_location import find_quote, significant_chars
from tests.documents.conftest import LIMITS, read
from tests.documents.factories import assemble, draw, make_pdf

pypdfium2 = pytest.importorskip("pypdfium2")

MAX_CHARS = 100_000
QUOTE = "The light-\nhouse was built in 1847\nby nobody."
COLUMNS = [  # two columns, drawn one after the other, and row by row
    (
        b"BT /F1 9 Tf 11 TL 40 700 Td (Left one.) Tj T* (Left two is a) Tj T* (sentence.) Tj ET "
        b"BT /F1 9 Tf 11 TL 320 700 Td (Right one.) Tj T* (Right two.) Tj T* (Right three.) Tj ET"
    ),
    (
        b"BT /F1 9 Tf 1 0 0 1 40 700 Tm (Left one.) Tj 1 0 0 1 320 700 Tm (Right one.) Tj "
        b"1 0 0 1 40 689 Tm (Left two is a) Tj 1 0 0 1 320 689 Tm (Right two.) Tj "
        b"1 0 0 1 40 678 Tm (sentence.) Tj 1 0 0 1 320 678 Tm (Right three.) Tj ET"
    ),
]


def write(tmp_path, data):
    path = tmp_path / "a.pdf"
    path.write_bytes(data)
    return path


def pixels(png):
    """Width, height and the rows of a PNG: red, green, blue."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", png[16:24])
    data = zlib.decompress(png[png.index(b"IDAT") + 4 : -16])
    size = 3 * width + 1
    return width, height, [data[row * size + 1 : (row + 1) * size] for row in range(height)]


def dark_places(png):
    """Column and row of each pixel that is not white, as fractions of the page."""
    width, height, rows = pixels(png)
    return [
        ((column + 0.5) / width, (row + 0.5) / height)
        for row, line in enumerate(rows)
        if min(line) < 128
        for column in range(width)
        if line[3 * column] < 128
    ]


def is_in(place, box, margin=0.004):
    left, top, right, bottom = box
    return left - margin <= place[0] <= right + margin and top - margin <= place[1] <= bottom + margin


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("crop", [b"", b"/CropBox [20 400 500 830]"], ids=["whole", "cropped"])
@pytest.mark.parametrize("matrix", [b"1 0 0 1 40 700", b"0 1 -1 0 200 500"], ids=["level", "upright"])
def test_the_boxes_of_a_quote_cover_its_ink(tmp_path, rotation, crop, matrix):
    """The page shows nothing but the quote, over line ends and a hyphen: all ink is in boxes, and all boxes have ink.

    PDFium leaves the hyphen at a line's end out of some of its rectangles.
    """
    lines = b" T* ".join(b"(%s) Tj" % line.encode() for line in QUOTE.split("\n"))
    content = b"BT /F1 12 Tf 14 TL %s Tm %s ET" % (matrix, lines)
    page = b"/MediaBox [0 0 595 842] /Rotate %d %s" % (rotation, crop)
    path = write(tmp_path, assemble([zlib.compress(content)], page=page))
    ink = dark_places(draw_page(path, 1, 600).png)
    found = locate_quote(path, 1, QUOTE, None, MAX_CHARS)

    assert len(found.boxes) == 3
    outside = [place for place in ink if not any(is_in(place, box) for box in found.boxes)]
    assert len(ink) > 200
    assert len(outside) < len(ink) / 100
    assert all(any(is_in(place, box) for place in ink) for box in found.boxes)
    size = (480, 430) if crop else (595, 842)
    assert (found.width, found.height) == (size if rotation % 180 == 0 else size[::-1])


@pytest.mark.parametrize("content", COLUMNS, ids=["by column", "by row"])
def test_the_boxes_are_those_of_pdfiums_own_search(tmp_path, content):
    """On a page with two columns, in each order of drawing. A box covers its own line and no other column."""
    path = write(tmp_path, assemble([zlib.compress(content)]))
    document = pypdfium2.PdfDocument(path)
    page = document[0]
    text_page = page.get_textpage()
    width, height = page.get_size()
    for quote in ("Left one.", "Left two is a", "Right two.", "Right three."):
        index, count = text_page.search(quote).get_next()
        assert text_page.count_rects(index, count) == 1
        left, bottom, right, top = text_page.get_rect(0)
        (box,) = locate_quote(path, 1, quote, None, MAX_CHARS).boxes

        assert box == pytest.approx((left / width, 1 - top / height, right / width, 1 - bottom / height), abs=1e-5)


def test_a_quote_in_columns_is_found_line_by_line(tmp_path):
    """The lines of one column, where the page was drawn row by row: two boxes, both in the left column."""
    path = write(tmp_path, assemble([zlib.compress(COLUMNS[1])]))
    found = locate_quote(path, 1, "Left two is a\nsentence.", None, MAX_CHARS)

    assert len(found.boxes) == 2
    assert all(right < 0.3 for _, _, right, _ in found.boxes)
    assert locate_quote(path, 1, "Left two is a\nfiction.", None, MAX_CHARS).boxes == ()


def test_the_position_tells_a_sentence_that_occurs_twice(tmp_path):
    """Both occurrences, found from the text of an ingest; without a position it is the first."""
    text = "It rains.\nThe end.\nIt snows.\nThe end.\nIt thaws."
    path = write(tmp_path, make_pdf([text]))
    (page,) = read(path)
    stored = page.page.text
    first, second = stored.index("The end."), stored.rindex("The end.")
    tops = [
        locate_quote(path, 1, "The end.", before, MAX_CHARS).boxes[0][1]
        for before in (None, *(len(significant_chars(stored[:start])) for start in (first, second)))
    ]

    assert tops[0] == tops[1] < tops[2]


@pytest.mark.parametrize(
    ("expected", "start"), [(None, 0), (0, 0), (2, 0), (3, 5), (4, 5), (5, 5), (6, 5), (9, 10), (10, 10), (99, 10)]
)
def test_the_nearest_occurrence_is_taken(expected, start):
    """The place may be a few characters off, if a text was stored by another version."""
    assert find_quote("abc..abc..abc", "a b-\nc", expected) == [(start, start + 3)]


@pytest.mark.parametrize("quote", ["", " \n", "xyz", "a" * 4_000, "\ud800"])
def test_what_the_page_does_not_show_has_no_boxes(tmp_path, quote):
    """Also text that consists of nothing."""
    assert locate_quote(write(tmp_path, make_pdf(["abc"])), 1, quote, 10**9, MAX_CHARS).boxes == ()


def test_hidden_text_and_comments_have_no_boxes_but_form_fields_do(tmp_path):
    """A box shows what a person sees there. A filled field is drawn; a comment is a note beside the page."""
    appearance = (
        b"<< /Type /XObject /Subtype /Form /BBox [0 0 200 20] /Resources << /Font << /F1 3 0 R >> >> /Length 40 >>"
    )
    drawn = appearance + b"\nstream\nBT /F1 9 Tf 2 5 Td (Filled value) Tj ET     \nendstream"
    field = b"<< /Subtype /FreeText /Rect [40 600 240 620] /Contents (Filled value) /AP << /N 6 0 R >> >>"
    comment = b"<< /Subtype /Text /Rect [0 0 20 20] /Contents (A remark) >>"
    path = write(tmp_path, assemble([draw("Printed.")], annotations=[field, comment], objects=[drawn]))

    assert len(locate_quote(path, 1, "Filled value", None, MAX_CHARS).boxes) == 1
    assert locate_quote(path, 1, "A remark", None, MAX_CHARS).boxes == ()


@pytest.mark.parametrize(
    ("media_box", "width", "size"),
    [
        (b"[0 0 595 842]", 800, (800, 1133)),
        (b"[0 0 595 842]", 16, (16, 23)),
        (b"[0 0 595 842]", 3_000, (1_682, 2_379)),
        (b"[0 0 10 14400]", 3_000, (53, 75_895)),
        (b"[0 0 14400 10]", 3_000, (3_000, 3)),
    ],
)
def test_an_image_has_the_width_that_was_asked_for_within_four_million_pixels(tmp_path, media_box, width, size):
    """Neither a large width nor a long page takes more memory."""
    image = draw_page(write(tmp_path, assemble([draw("a")], page=b"/MediaBox " + media_box)), 1, width)

    assert (image.width, image.height) == pixels(image.png)[:2] == pytest.approx(size, abs=2)
    assert image.width * image.height < 4_100_000


def test_the_outline_lists_the_bookmarks_with_their_pages(tmp_path):
    """Levels, titles without control characters, and entries that lead nowhere. A loop ends."""
    objects = [
        b"<< /Type /Outlines /First 9 0 R /Last 10 0 R /Count 2 >>",
        b"<< /Title (Leave\\001) /Parent 8 0 R /Next 10 0 R /First 11 0 R /Dest [6 0 R /Fit] >>",
        b"<< /Title (Appendix) /Parent 8 0 R /Next 9 0 R >>",
        b"<< /Title (Sick) /Parent 9 0 R /Dest [4 0 R /Fit] >>",
    ]
    path = write(tmp_path, assemble([draw("a"), draw("b")], catalog=b"/Outlines 8 0 R", objects=objects))

    assert read_outline(path) == [
        OutlineEntry(0, "Leave", 2),
        OutlineEntry(1, "Sick", 1),
        OutlineEntry(0, "Appendix", None),
    ]
    assert read_outline(write(tmp_path, make_pdf(["a"]))) == []


def test_a_viewer_works_in_a_confined_process_and_reports_its_errors(tmp_path):
    """One process per view. A page that does not exist and a damaged file are errors of their own."""
    viewer = PageViewer(1, LIMITS)
    path = write(tmp_path, make_pdf(["Salt and tea.", "Tin."]))
    image = viewer.draw(path, 2, 600)

    assert (image.width, len(dark_places(image.png)) > 5) == (600, True)
    with pytest.raises(PageNotFound, match="2 pages"):
        viewer.draw(path, 3, 200)
    with pytest.raises(DamagedDocument):
        viewer.outline(write(tmp_path, b"%PDF-1.4 nonsense"))


def test_a_view_that_takes_too_long_is_stopped(tmp_path, monkeypatch):
    """Its slot is free again. While it is taken, others wait, and then learn that they may try again."""
    path = write(tmp_path, make_pdf(["a"]))
    monkeypatch.setattr(page_viewer, "_MAX_SECONDS", 0.01)
    monkeypatch.setattr(page_viewer, "_WAIT_SECONDS", 0.01)
    viewer = PageViewer(1, LIMITS)
    for _ in range(2):
        with pytest.raises(ReadingTimedOut):
            viewer.outline(path)
    with viewer._slot(), pytest.raises(ViewerBusy):
        viewer.outline(path)

    assert not [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer) and thread.is_alive()]
