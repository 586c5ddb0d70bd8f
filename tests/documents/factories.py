"""Builds PDFs for tests, byte by byte: known words on known pages, and faults on request."""

import zlib
from collections.abc import Sequence

import pypdfium2 as pdfium

_FONT = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"
_ENCRYPTION = b"<< /Filter /Standard /V 1 /R 2 /Length 40 /P -4 /O <%s> /U <%s> >>" % (b"5a" * 32, b"a5" * 32)


def make_pdf(pages: Sequence[str], *, encrypted: bool = False) -> bytes:
    """A PDF with one page per text and the lines of that text. An empty text gives a page without text, like a scan.

    `encrypted`: with an unknown password.
    """
    return assemble([draw(text) for text in pages], encrypted=encrypted)


def scan(pages: Sequence[str], *, stamp: str = "") -> bytes:
    """A PDF whose pages are pictures of these texts, in large type, with a stamp as their only text."""
    streams = []
    for page in pdfium.PdfDocument(make_pdf(pages)):
        bitmap = page.render(scale=2, crop=(0, 400, 170, 0), grayscale=True)  # the upper left corner
        rows = bytes(memoryview(bitmap.buffer).cast("B"))
        image = b"BI /W %d /H %d /CS /G /BPC 8 ID %s EI" % (bitmap.stride, bitmap.height, rows)
        mark = b"BT /F1 6 Tf 40 20 Td (%s) Tj ET" % stamp.encode()
        streams.append(zlib.compress(b"q 595 0 0 620 0 200 cm %s Q %s" % (image, mark)))
    return assemble(streams)


def draw(text: str) -> bytes:
    """The compressed drawing commands of a page with this text."""
    if not text:
        return zlib.compress(b"0.5 g 50 50 400 600 re f")
    lines = [line.translate({40: "\\(", 41: "\\)", 92: "\\\\"}).encode("cp1252") for line in text.split("\n")]
    commands = b" T* ".join(b"(%s) Tj" % line for line in lines)
    return zlib.compress(b"BT /F1 9 Tf 11 TL 40 800 Td " + commands + b" ET")


def assemble(
    streams: Sequence[bytes], *, encrypted: bool = False, annotations: Sequence[bytes] = (), catalog: bytes = b""
) -> bytes:
    """A PDF with one page per compressed content stream.

    `annotations`: dictionaries of the annotations of each page. `catalog`: entries of the document's catalogue.
    """
    first = 4
    kids = b" ".join(b"%d 0 R" % (first + 2 * number) for number in range(len(streams)))
    bodies = [
        b"<< /Type /Catalog /Pages 2 0 R %s >>" % catalog,
        b"<< /Type /Pages /Kids [%s] /Count %d >>" % (kids, len(streams)),
        _FONT,
    ]
    for number, stream in enumerate(streams):
        bodies.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 3 0 R >> >> "
            b"/Contents %d 0 R /Annots [%s] >>" % (first + 2 * number + 1, b" ".join(annotations))
        )
        bodies.append(b"<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream" % (len(stream), stream))
    return _file([*bodies, _ENCRYPTION] if encrypted else bodies, encrypted=encrypted)


def _file(bodies: Sequence[bytes], *, encrypted: bool) -> bytes:
    data, offsets = bytearray(b"%PDF-1.4\n"), []
    for number, body in enumerate(bodies, start=1):
        offsets.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    encryption = b"/Encrypt %d 0 R /ID [<00> <00>] " % len(bodies) if encrypted else b""
    trailer = b"trailer\n<< /Size %d /Root 1 0 R %s>>\nstartxref\n%d\n%%%%EOF" % (
        len(bodies) + 1,
        encryption,
        len(data),
    )
    return bytes(data) + b"xref\n0 %d\n0000000000 65535 f \n" % (len(bodies) + 1) + table + trailer
