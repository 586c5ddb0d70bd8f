"""From upload to a cited answer, on real processes and without a key: what stands in a document is found and quoted."""

import pytest

from tests.documents import wired
from tests.documents.making import make_pdf

pytest.importorskip("lancedb", reason="documents need the extra chatqueue[documents]", exc_type=ImportError)

HANDBOOK = make_pdf(
    [
        "Welcome to the handbook of the lighthouse keepers.\nIt is read once a year.",
        "Each keeper has thirty days of leave a year.\nLeave is asked for with the harbour master.",
        "",
        "The lamp burns rapeseed oil.\nIn storms the lamp is trimmed every two hours.",
    ]
)
COOKBOOK = b"# Soups\n\nThe onion soup simmers for forty minutes.\n\fThe goulash wants paprika from Szeged."


@pytest.fixture(scope="module")
def library(redis_url, model_url, tmp_path_factory):
    env = wired.environment(redis_url, model_url, tmp_path_factory.mktemp("data"))
    with wired.web(env) as library, wired.worker(env):
        yield library


@pytest.fixture(scope="module")
def handbook(library):
    return library.ingested(HANDBOOK, "handbook.pdf")


@pytest.fixture(scope="module")
def cookbook(library):
    return library.ingested(COOKBOOK, "soups.md")


def test_the_right_document_and_page_are_cited_with_their_own_words(library, handbook, cookbook):
    status, job = library.ask("How many days of leave does a keeper have?", [handbook, cookbook])

    assert status == 200, job
    assert "thirty days of leave" in job["answer"]
    assert "No language model" in job["answer"]
    first = job["citations"][0]
    assert (first["document_id"], first["filename"], first["page"]) == (handbook, "handbook.pdf", 2)
    assert first["quote"] == "Each keeper has thirty days of leave a year."
    assert 0 < first["score"] <= 1
