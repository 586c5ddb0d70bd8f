"""The content of a document over HTTP: its file, the text, the image and the boxes of a page, and the outline."""

import pytest

from documents.factory import open_page_texts
from documents.page_texts import PageArchive
from jobs.settings import Settings
from tests.api.documents.sending import PATH, UNKNOWN, mark_ready, send
from tests.documents.factories import make_pdf

pytest.importorskip("lancedb", reason="documents need the extra chatqueue[documents]", exc_type=ImportError)

TEXTS = ["Salt. The end.\nTea. The end.", "", "Tin."]
PDF = make_pdf(TEXTS)


@pytest.fixture
def ready(client, fake_worker, tmp_path):
    """Sends a document, and stores the texts of its pages as an ingest does. Returns its path."""

    def prepare(content=PDF, filename="a.pdf", texts=TEXTS, **facts):
        document = send(client, content, filename).json["document"]
        archive = PageArchive()
        for number, text in enumerate(texts, start=1):
            archive.add(number, text)
        texts_store = open_page_texts(Settings(data_dir=tmp_path))
        texts_store.save(document["document_id"], archive.finish())
        facts = {"pages": len(texts), "damaged": (), "page_labels": ("i", "ii", "1")[: len(texts)]} | facts
        mark_ready(fake_worker, document["document_id"], document["task_id"], **facts)
        return f"{PATH}/{document['document_id']}"

    return prepare


def test_the_file_is_returned_as_it_was_uploaded_and_harmless(client):
    """A citation can be checked. A browser neither opens the file nor runs anything in it."""
    content = b"<!doctype html><script>alert(1)</script>"
    document = send(client, content, "K\u00e4ufer \u706f.html").json["document"]
    response = client.get(f"{PATH}/{document['document_id']}/file", buffered=True)

    assert (response.status_code, response.data) == (200, content)
    assert response.headers["Content-Type"] == "application/octet-stream"
    assert response.headers["Content-Disposition"].startswith("attachment")
    assert "filename*=UTF-8''K%C3%A4ufer%20%E7%81%AF.html" in response.headers["Content-Disposition"]
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Content-Security-Policy"].startswith("sandbox")
    assert response.headers["Content-Length"] == str(len(content))


def test_a_file_that_is_deleted_or_lost_is_404(client, tmp_path):
    """A deleted document's file may still be on the disk."""
    lost, deleted = (send(client, text.encode(), "a.txt").json["document"]["document_id"] for text in ("one", "two"))
    (tmp_path / "documents" / "files" / lost).unlink()
    client.delete(f"{PATH}/{deleted}")

    assert "lost" in client.get(f"{PATH}/{lost}/file").json["detail"]
    assert [client.get(f"{PATH}/{name}/file").status_code for name in (lost, deleted, UNKNOWN, "x")] == [404] * 4


def test_the_text_of_a_page_is_that_of_its_ingest(client, ready):
    """With its printed number, and the reason why a page has no text."""
    path = ready()
    first, second = (client.get(f"{path}/pages/{number}").json for number in (1, 2))

    assert (first["text"], first["page_label"], first["pages"], first["problem"]) == (TEXTS[0], "i", 3, None)
    assert (second["text"], second["page"], second["problem"]) == ("", 2, "no_text")
    for number in (0, 4, 10**9):
        problem = client.get(f"{path}/pages/{number}")
        assert (problem.status_code, problem.json["error"]["code"]) == (404, "page_not_found")
    assert client.get(f"{path}/pages/x").status_code == client.get(f"{path}/pages/-1").status_code == 404


def test_a_page_is_drawn_and_its_quote_is_boxed(client, ready):
    """One image, and the boxes of a sentence that the page contains twice, by position and by its words."""
    path = ready()
    image = client.get(f"{path}/pages/1/image?width=300")
    start = TEXTS[0].rindex("The end.")
    by_place = client.get(f"{path}/pages/1/boxes?start={start}&end={start + 8}").json
    by_words = client.get(f"{path}/pages/1/boxes", query_string={"quote": "The end."}).json

    assert (image.status_code, image.headers["Content-Type"]) == (200, "image/png")
    assert image.data.startswith(b"\x89PNG")
    assert int.from_bytes(image.data[16:20]) == 300
    assert image.headers["X-Content-Type-Options"] == "nosniff"
    assert by_place["boxes"][0]["top"] > by_words["boxes"][0]["top"]
    assert (by_place["width"], by_place["page_label"]) == (595.0, "i")


@pytest.mark.parametrize(
    ("query", "param"),
    [("", "start"), ("start=1", "start"), ("end=3", "start"), ("quote=a&start=1&end=2", "quote"), ("quote=", "quote")]
    + [(f"start={start}&end={end}", "start") for start, end in ((3, 3), (5, 3), (0, 1_000))]
    + [("start=-1&end=2", "start"), ("start=a&end=2", "start")],
)
def test_a_quote_needs_a_place_within_the_text(client, ready, query, param):
    """The error names what is wrong."""
    problem = client.get(f"{ready()}/pages/1/boxes?{query}")

    assert (problem.status_code, problem.json["error"]["param"]) == (422, param)


def test_a_client_that_has_an_image_gets_304_until_the_document_is_deleted(client, ready, monkeypatch):
    """Nothing is drawn again. No proxy may keep a page, and a deleted one is not shown."""
    path, part = ready(), "pages/1/image?width=100"
    first = client.get(f"{path}/{part}")
    tag = {"If-None-Match": first.headers["ETag"]}
    monkeypatch.setattr("documents.reading.page_viewer.PageViewer.draw", None)

    assert first.headers["Cache-Control"] == "private, no-cache"
    again = client.get(f"{path}/{part}", headers=tag)
    assert (again.status_code, again.data) == (304, b"")
    assert again.headers["Cache-Control"] == "private, no-cache"
    assert client.get(f"{path}/pages/1").headers["Cache-Control"] == "no-store"
    client.delete(path)
    assert client.get(f"{path}/{part}", headers=tag).status_code == 404


def test_widths_and_pages_have_tags_of_their_own(client, ready):
    """A browser must not take one image for another."""
    path = ready()
    parts = ("pages/1/image?width=100", "pages/1/image?width=101", "pages/3/image?width=100")

    assert len({client.get(f"{path}/{part}").headers["ETag"] for part in parts}) == len(parts)


@pytest.mark.parametrize("width", ["0", "15", "3001", "1e3", "x", ""])
def test_the_width_of_an_image_is_bounded(client, ready, width):
    """A client cannot ask for more than a page needs."""
    problem = client.get(f"{ready()}/pages/1/image?width={width}")

    assert (problem.status_code, problem.json["error"]["param"]) == (422, "width")


def test_a_text_has_pages_but_no_images(client, ready):
    """Its outline is empty."""
    path = ready(b"One.", "a.txt", ["One."])

    assert client.get(f"{path}/pages/1").json["text"] == "One."
    for part in ("pages/1/image", "pages/1/boxes?start=0&end=2", "pages/1/boxes?quote=One"):
        problem = client.get(f"{path}/{part}")
        assert (problem.status_code, problem.json["error"]["code"]) == (404, "no_page_image")
    assert client.get(f"{path}/outline").json["entries"] == []


def test_a_document_that_is_not_ready_has_images_but_no_text(client, tmp_path):
    """A scan that could not be read can be looked at. The error of its text is that of a question to it."""
    document = send(client, PDF).json["document"]
    path = f"{PATH}/{document['document_id']}"

    assert client.get(f"{path}/pages/3/image?width=50").status_code == 200
    assert client.get(f"{path}/pages/4/image?width=50").json["error"]["code"] == "page_not_found"
    assert client.get(f"{path}/outline").status_code == 200
    for part in ("pages/1", "pages/1/boxes?quote=a"):
        problem = client.get(f"{path}/{part}")
        assert (problem.status_code, problem.json["error"]["code"]) == (422, "document_not_ready")


def test_what_is_lost_or_deleted_is_404(client, ready, tmp_path):
    """A document whose text or file is gone says so; one that does not exist has no pages."""
    path = ready()
    name = path.rpartition("/")[2]
    (tmp_path / "documents" / "pages" / name).unlink()
    (tmp_path / "documents" / "files" / name).unlink()

    assert "lost" in client.get(f"{path}/pages/1").json["detail"]
    assert "lost" in client.get(f"{path}/pages/1/image").json["detail"]
    for document_id in (UNKNOWN, "x"):
        for part in ("pages/1", "pages/1/image", "pages/1/boxes?quote=a", "outline"):
            assert client.get(f"{PATH}/{document_id}/{part}").json["error"]["code"] == "document_not_found"


def test_a_damaged_archive_of_texts_is_reported(client, ready, tmp_path):
    """As an error of the storage, without a traceback."""
    path = ready()
    (tmp_path / "documents" / "pages" / path.rpartition("/")[2]).write_bytes(b"nonsense")

    problem = client.get(f"{path}/pages/1")
    assert (problem.status_code, problem.json["error"]["code"]) == (503, "files_unavailable")


def test_a_busy_viewer_asks_to_try_again(client, ready, app, monkeypatch):
    """The number of pages that are drawn at a time is bounded."""
    monkeypatch.setattr("documents.reading.page_viewer._WAIT_SECONDS", 0.01)
    path = ready()
    viewer = app.extensions["chatqueue"].viewer
    while viewer._slots.acquire(blocking=False):
        pass
    problem = client.get(f"{path}/pages/1/image")

    assert (problem.status_code, problem.json["error"]["code"]) == (503, "viewer_busy")
    assert problem.headers["Retry-After"] == "1"


def test_the_texts_of_a_document_are_removed_with_it(tmp_path):
    """And a page that is not there is not an error of the storage."""
    texts = open_page_texts(Settings(data_dir=tmp_path))
    archive = PageArchive()
    archive.add(1, "a\udc80\u706f".encode("utf-8", "replace").decode())
    texts.save(UNKNOWN, archive.finish())
    assert texts.read(UNKNOWN, 1) == "a?\u706f"
    texts.remove(UNKNOWN)
    texts.remove(UNKNOWN)

    with pytest.raises(FileNotFoundError):
        texts.read(UNKNOWN, 1)
    with pytest.raises(FileNotFoundError):
        texts.read("doc_" + "1" * 32, 1)
    for name in ("../x", "", f"{UNKNOWN}/.."):
        with pytest.raises(ValueError, match="id"):
            texts.read(name, 1)
