"""Documents in an S3-compatible object store: all features of a local folder, with no data left on the local disk."""

import asyncio
import re
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

from documents.factory import open_chunk_table
from tests.documents import in_process
from tests.documents.factories import make_pdf
from tests.support.processes import free_port, running

pytest.importorskip("lancedb", reason="documents need the extra chatqueue[documents]", exc_type=ImportError)
pytest.importorskip("moto", reason="the object store of these tests is not installed")

CARGOES = ("salt", "tea", "silk", "tin", "rye", "oil")
PAGES = ["The harbour has nine piers.", "The harbour master sleeps on pier seven."]


@pytest.fixture(scope="module")
def store_url(processes):
    """The URL of an S3 server with one bucket, `library`."""
    with running([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"], ready="Running on") as server:
        url = server.wait_for("Running on").split()[-1]
        urllib.request.urlopen(urllib.request.Request(f"{url}/library", method="PUT"), timeout=10).close()
        yield url


@pytest.fixture
def env(env, store_url):
    """The environment with a separate folder in the bucket for each test."""
    return env | {
        "CHATQUEUE_DOCUMENTS_URL": f"s3://library{env['CHATQUEUE_DATA_DIR']}",
        "AWS_ENDPOINT_URL": store_url,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_REGION": "us-east-1",
    }


@pytest.fixture
def uploaded_files(env, store_url):
    """Returns the names of the files in this test's folder of the bucket."""

    def names():
        root = env["CHATQUEUE_DOCUMENTS_URL"].removeprefix("s3://library/")
        found = []
        for folder in ("files", "pages"):
            prefix = f"{root}/{folder}/"
            with urllib.request.urlopen(f"{store_url}/library?list-type=2&prefix={prefix}", timeout=10) as response:
                keys = re.findall(r"<Key>(.*?)</Key>", response.read().decode())
            found += sorted(key.removeprefix(prefix) for key in keys if key != prefix)
        return found

    return names


@pytest.fixture
def count_chunks(env, settings, monkeypatch):
    """Counts the chunks of a document in the bucket."""
    for name in (name for name in env if name.startswith("AWS_")):
        monkeypatch.setenv(name, env[name])
    store_settings = settings.model_copy(update={"documents_url": env["CHATQUEUE_DOCUMENTS_URL"]})

    async def count(document_id):
        return await (await open_chunk_table(store_settings)).count(document_id)

    return lambda document_id: asyncio.run(count(document_id))


def test_a_document_is_uploaded_ingested_asked_and_deleted(env, documents_client, uploaded_files, count_chunks, folder):
    """The object store contains the file and the chunks; the local disk holds files only temporarily."""
    with in_process.worker(env):
        document_id = documents_client.upload_and_ingest(make_pdf(PAGES), "harbour.pdf")
        assert uploaded_files() == [document_id, document_id]  # the file, and the texts of its pages
        assert documents_client.call("GET", f"/documents/{document_id}/pages/2")[1]["text"] == PAGES[1]
        assert documents_client.call("GET", f"/documents/{document_id}/pages/1/boxes?start=0&end=11")[1]["boxes"]
        assert count_chunks(document_id) == 2
        (citation,) = documents_client.ask("Where does the harbour master sleep?", [document_id])[1]["citations"]
        assert (citation["page"], citation["quote"]) == (2, PAGES[1])

        removal = documents_client.call("DELETE", f"/documents/{document_id}")[1]["task_id"]
        assert documents_client.call("GET", f"/tasks/{removal}?wait=30")[1]["status"] == "completed"
        assert documents_client.call("GET", f"/documents/{document_id}")[0] == 404
    assert uploaded_files() == []
    assert count_chunks(document_id) == 0
    assert [path for path in (folder / "documents").rglob("*") if path.is_file()] == []


def test_an_unreachable_store_is_reported_and_blocks_no_other_request(env, folder):
    """Arrow retries for seconds, during which the same web process continues to answer."""
    with (
        in_process.web(env | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}"}) as documents_client,
        ThreadPoolExecutor(1) as pool,
    ):
        upload = pool.submit(documents_client.upload, b"The tide is out.", "tide.txt")
        answered_requests = 0
        while not upload.done():
            answered_requests += documents_client.call("GET", "/queue/stats")[0] == 200

    status, problem = upload.result()
    assert (status, problem["error"]["code"]) == (503, "files_unavailable")
    assert answered_requests > 20
    assert [path for path in (folder / "documents").rglob("*") if path.is_file()] == []


def test_concurrent_commits_of_two_workers_lose_no_document(env, documents_client):
    """The store rejects the second put of a version, and the worker whose put was rejected commits again."""
    texts = [f"Ship number {number} carries {cargo}." for number, cargo in enumerate(CARGOES)]
    with in_process.worker(env), in_process.worker(env):
        ids = [documents_client.upload(text.encode(), "ship.txt")[1]["document"]["document_id"] for text in texts]
        states = [documents_client.wait_until_ingested(document_id)["status"] for document_id in ids]
        assert states == ["ready"] * len(texts)
        jobs = [documents_client.ask(f"What does ship number {number} carry?")[1] for number in range(len(texts))]

    assert [job["citations"][0]["document_id"] for job in jobs] == ids
