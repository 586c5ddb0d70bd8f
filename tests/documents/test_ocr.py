"""OCR of scanned pages: their text is found and cited, within limits, and no page goes through OCR twice."""

import json
import signal
import time
from pathlib import Path

import pypdfium2
import pytest

from documents.errors import NoText
from documents.files import Files
from documents.reading import tesseract
from documents.reading.pdf import read_pdf
from documents.reading.pdf_ocr import Ocr, OcrLimits
from jobs.document_id import is_document_id, new_document_id
from tests.documents import in_process
from tests.documents.conftest import read
from tests.documents.factories import make_pdf, scan
from tests.support.waiting import until

FACTS = [
    "The lighthouse was built in 1847.",
    "Its lamp burns whale oil.",
    "The keeper's cat is Ahab.",
    "Boats come late.",
]
ENGLISH = OcrLimits("eng", max_pages=10, page_seconds=60)


def is_installed() -> bool:
    try:
        tesseract.Tesseract("eng")
    except (tesseract.NotInstalled, tesseract.LanguageMissing):
        return False
    return True


needs_tesseract = pytest.mark.skipif(
    not is_installed(), reason="Tesseract is not installed: apt-get install tesseract-ocr"
)


@pytest.fixture
def save(tmp_path):
    def write(data: bytes) -> Path:
        path = tmp_path / "file"
        path.write_bytes(data)
        return path

    return write


def outcomes(path: Path, limits: OcrLimits, recognized: dict[int, str] | None = None) -> list:
    """Text and outcome of each page, read in this process."""
    announced: list[None] = []
    ocr = Ocr(limits, recognized or {}, lambda: announced.append(None))
    return [(page.text, page.ocr) for page in read_pdf(path, 100, 1_000_000, ocr)] + [len(announced)]


@needs_tesseract
def test_scanned_pages_are_recognized_in_the_confined_process(save):
    """Their text is cited like any other. A page that is blank, or has text of its own, needs no OCR."""
    with pypdfium2.PdfDocument(scan(FACTS[:2])) as document:
        document.import_pages(pypdfium2.PdfDocument(make_pdf([FACTS[2]])))
        document.new_page(595, 842)
        path = save(b"")
        document.save(path)
    pages = [chunked_page.page for chunked_page in read(path, ocr=ENGLISH)]

    assert [(page.text, page.problem, page.ocr) for page in pages] == [
        (FACTS[0], None, "recognized"),
        (FACTS[1], None, "recognized"),
        (FACTS[2], None, None),
        ("", "no_text", "nothing_found"),
    ]


@needs_tesseract
def test_a_stamp_does_not_make_a_scan_a_page_with_text(save):
    """Scanning programs print their name or a number on each page."""
    (page, count) = outcomes(save(scan(FACTS[:1], stamp="Scanned by Camel")), ENGLISH)

    assert FACTS[0] in page[0]
    assert (page[1], count) == ("recognized", 1)


@needs_tesseract
def test_the_limits_of_ocr_leave_the_other_pages(save):
    """A page beyond a limit is reported, and the document is ready with the rest."""
    path = save(scan(FACTS[:2], stamp="2"))

    assert outcomes(path, OcrLimits("eng", 1, 60), {1: "From an earlier reading."}) == [
        ("From an earlier reading.", "recognized"),
        ("2", "too_many_pages"),
        0,
    ]
    assert outcomes(path, OcrLimits("eng+xx", 9, 60)) == [("2", "language_missing"), ("2", "language_missing"), 0]
    assert outcomes(path, OcrLimits("eng", 1, 0.001))[0] == ("2", "timed_out")


def test_a_missing_tesseract_is_named_as_the_reason(save, monkeypatch):
    """Whoever has switched OCR on must learn why nothing is recognized."""
    monkeypatch.setattr(tesseract, "_LIBRARIES", ())

    assert outcomes(save(scan(FACTS[:1], stamp="2")), ENGLISH) == [("2", "not_installed"), 0]
    with pytest.raises(NoText, match="Tesseract is not installed where the worker runs"):
        outcomes(save(scan(FACTS[:1])), ENGLISH)


def test_a_scan_names_the_setting_that_switches_ocr_on(save):
    """The error of a scanned document states the remedy."""
    with pytest.raises(NoText, match="CHATQUEUE_OCR_LANGUAGES"):
        read(save(scan(FACTS[:1])))


@pytest.mark.parametrize("stored", [None, b"", b"[", b'{"languages": "deu", "texts": {"1": "x"}}'])
def test_recognized_texts_are_used_only_if_they_are_whole(tmp_path, stored):
    """A text in another language's letters, or half of a file, is recognized again."""
    files = Files(None, tmp_path, is_document_id)
    document_id = new_document_id()
    files.save_recognized(document_id, "eng", {1: "words", 2: ""})
    before = files.recognized(document_id, "eng")
    (path,) = (tmp_path / "files").iterdir()
    path.unlink() if stored is None else path.write_bytes(stored)

    assert before == {1: "words", 2: ""}
    assert files.recognized(document_id, "eng") == {}
    files.remove(document_id)
    assert list((tmp_path / "files").iterdir()) == []


def plant(path: Path) -> None:
    """Change the kept text of page 1, so that a page which is recognized again can be told."""
    stored = json.loads(path.read_bytes())
    stored["texts"]["1"] = "The anchor weighs two tons."
    path.write_text(json.dumps(stored))


@needs_tesseract
@pytest.mark.timeout(300)
def test_a_worker_killed_during_ocr_goes_on_where_it_was(env, documents_client, folder, chunks):
    """OCR takes seconds a page, so what is done is kept. The result is whole, and in the table once."""
    env = env | {"CHATQUEUE_OCR_LANGUAGES": "eng"}
    _, accepted = documents_client.upload(scan(FACTS))
    document_id = accepted["document"]["document_id"]
    with in_process.worker(env) as worker:
        until(lambda: documents_client.document(document_id)["pages_done"] >= 1, 90)
        time.sleep(0.3)  # into the OCR of the next page: the moment is the test
        worker.send(signal.SIGKILL)
    plant(folder / "documents" / "files" / f"{document_id}.ocr")
    with in_process.worker(env):
        document = documents_client.wait_until_ingested(document_id, 120)
        positions = chunks(document_id)
        _, answer = documents_client.ask("What does the anchor weigh?", [document_id])
        documents_client.call("DELETE", f"/documents/{document_id}")
        until(lambda: in_process.stored_files(folder) == [], 60)

    assert (document["status"], document["pages"], document["ocr"]) == ("ready", 3, {"recognized": 3})
    assert positions == [(0, 1), (1, 2), (2, 3)]
    assert answer["citations"][0]["quote"] == "The anchor weighs two tons."
