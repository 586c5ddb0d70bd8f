"""Documents in an object store that speaks S3's protocol: everything that a folder does, with nothing on disk."""

import asyncio
import re
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

from documents.factory import open_chunks
from tests.documents import in_process
from tests.documents.factories import make_pdf
from tests.processes import free_port, running

pytest.importorskip("lancedb", reason="documents need the extra chatqueue[documents]", exc_type=ImportError)
pytest.importorskip("moto", reason="the object store of these tests is not installed")

CARGOES = ("salt", "tea", "silk", "tin", "rye", "oil")
PAGES = ["The harbour has nine piers.", "The harbour master sleeps on pier seven."]


@pytest.fixture(scope="module")
def store_url():
    """Of a server with one bucket, `library`."""
    with running([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"], ready="Running on") as server:
        url = server.wait_for("Running on").split()[-1]
        urllib.request.urlopen(urllib.request.Request(f"{url}/library", method="PUT"), timeout=10).close()
        yield url


@pytest.fixture
def env(env, store_url):
    """With a folder of the bucket for each test."""
    return env | {
        "CHATQUEUE_DOCUMENTS_URL": f"s3://library{env['CHATQUEUE_DATA_DIR']}",
        "AWS_ENDPOINT_URL": store_url,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_REGION": "us-east-1",
    }


@pytest.fixture
def originals(env, store_url):
    """Names of the files that the bucket holds for this test."""

    def names():
        prefix = env["CHATQUEUE_DOCUMENTS_URL"].removeprefix("s3://library/") + "/files/"
        with urllib.request.urlopen(f"{store_url}/library?list-type=2&prefix={prefix}", timeout=10) as reply:
            keys = re.findall(r"<Key>(.*?)</Key>", reply.read().decode())
        return sorted(key.removeprefix(prefix) for key in keys if key != prefix)

    return names


@pytest.fixture
def kept_chunks(env, settings, monkeypatch):
    """How many chunks of a document the bucket holds."""
    for name in (name for name in env if name.startswith("AWS_")):
        monkeypatch.setenv(name, env[name])
    mine = settings.model_copy(update={"documents_url": env["CHATQUEUE_DOCUMENTS_URL"]})

    async def count(document_id):
        return await (await open_chunks(mine)).count(document_id)

    return lambda document_id: asyncio.run(count(document_id))


def test_a_document_is_uploaded_ingested_asked_and_deleted(env, library, originals, kept_chunks, folder):
    """On disk is only what passes through."""
    with in_process.worker(env):
        document_id = library.ingested(make_pdf(PAGES), "harbour.pdf")
        assert originals() == [document_id]
        assert kept_chunks(document_id) == 2
        (citation,) = library.ask("Where does the harbour master sleep?", [document_id])[1]["citations"]
        assert (citation["page"], citation["quote"]) == (2, PAGES[1])

        removal = library.call("DELETE", f"/documents/{document_id}")[1]["task_id"]
        assert library.call("GET", f"/tasks/{removal}?wait=30")[1]["status"] == "completed"
        assert library.call("GET", f"/documents/{document_id}")[0] == 404
    assert originals() == []
    assert kept_chunks(document_id) == 0
    assert [path for path in (folder / "documents").rglob("*") if path.is_file()] == []


def test_a_store_that_is_away_is_said_so_and_holds_up_no_other_request(env, folder):
    """Arrow tries for seconds, in which the same web process goes on answering."""
    with (
        in_process.web(env | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}"}) as library,
        ThreadPoolExecutor(1) as pool,
    ):
        upload = pool.submit(library.upload, b"The tide is out.", "tide.txt")
        answered = 0
        while not upload.done():
            answered += library.call("GET", "/queue/stats")[0] == 200

    status, problem = upload.result()
    assert (status, problem["error"]["code"]) == (503, "files_unavailable")
    assert answered > 20
    assert [path for path in (folder / "documents").rglob("*") if path.is_file()] == []


def test_workers_that_commit_at_once_lose_nothing_of_each_other(env, library):
    """The store refuses the second of two puts of one version; who was refused commits again."""
    texts = [f"Ship number {number} carries {cargo}." for number, cargo in enumerate(CARGOES)]
    with in_process.worker(env), in_process.worker(env):
        sent = [library.upload(text.encode(), "ship.txt")[1]["document"]["document_id"] for text in texts]
        assert [library.settled(document_id)["status"] for document_id in sent] == ["ready"] * len(texts)
        asked = [library.ask(f"What does ship number {number} carry?")[1] for number in range(len(texts))]

    assert [job["citations"][0]["document_id"] for job in asked] == sent
