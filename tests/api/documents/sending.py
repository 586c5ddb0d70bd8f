"""How a document is sent, and how an ingest ends."""

import io

from jobs.storage import transitions
from tests.documents.factories import make_pdf

PATH = "/api/v1/documents"
UNKNOWN = "doc_" + "0" * 32
PDF = make_pdf(["One page."])


def send(client, content=PDF, filename="a.pdf", field="file"):
    return client.post(PATH, data={field: (io.BytesIO(content), filename)})


def mark_ready(hands, document_id, task_id, **found):
    facts = {"pages": 3, "chunks": 4, "no_text": (2,), "damaged": (3,), "embedding_model": "m"} | found
    assert hands.store.run(transitions.document.mark_ready(document_id, task_id, **facts))
