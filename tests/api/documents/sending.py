"""Sends documents and finishes ingests."""

import io
from typing import Any

from jobs.storage import transitions
from tests.documents.factories import make_pdf

PATH = "/api/v1/documents"
UNKNOWN = "doc_" + "0" * 32
PDF = make_pdf(["One page."])


def send(client, content=PDF, filename="a.pdf", field="file"):
    return client.post(PATH, data={field: (io.BytesIO(content), filename)})


def mark_ready(fake_worker, document_id, task_id, **overrides: Any):
    facts: dict[str, Any] = {
        "pages": 3,
        "chunks": 4,
        "no_text": (2,),
        "damaged": (3,),
        "embedding_model": "m",
    } | overrides
    assert fake_worker.store.run(transitions.document.mark_ready(document_id, task_id, **facts))
