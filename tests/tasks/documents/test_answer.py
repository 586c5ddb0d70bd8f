"""The citations of an answer from documents, and the end of a question whose job is gone."""

import asyncio
import math
import threading
from types import SimpleNamespace

import pytest

from documents.answering.search_query import build_query
from documents.answering.similarity import PROBES, measure_min_similarity
from documents.models import Source, SourceQuote
from jobs import vector_encoding
from jobs.kinds.chat import ChatTask
from tasks.documents import answer
from tasks.heartbeat import AttemptStopped
from tests.support.fakes import fake

SOURCES = (Source(1, "doc_a", "a.pdf", 3, "The lamp burns oil.", 0.5),)
REQUEST = ChatTask(kind="chat", message="What burns? " * 10_000, documents="all")


def cite(text="Oil [1]."):
    return asyncio.run(answer.citations(text, REQUEST, SOURCES))


def test_citations_are_read_in_a_thread_with_the_question_that_was_searched_for(monkeypatch):
    """Other calls are not blocked, and the longest possible message costs no more than the longest question."""
    reads = []

    def read(_text, question, _sources):
        reads.append((threading.current_thread(), len(question)))
        return (SourceQuote("doc_a", "a.pdf", 3, "The lamp burns oil.", 0.5),)

    monkeypatch.setattr(answer, "extract_citations", read)

    assert [citation.quote for citation in cite()] == ["The lamp burns oil."]
    ((thread, length),) = reads
    assert thread is not threading.main_thread()
    assert length < 1_000


@pytest.mark.parametrize("fault", [IndexError, RecursionError, MemoryError])
def test_a_fault_in_citing_costs_only_the_citations(monkeypatch, caplog, fault):
    """The answer is paid for. The log names the fault and quotes nothing of the answer."""

    def fail(text, *_):
        raise fault(text)

    monkeypatch.setattr(answer, "extract_citations", fail)

    assert cite("canary [1]") == ()
    assert fault.__name__ in caplog.text
    assert "canary" not in caplog.text


def test_a_question_whose_job_was_deleted_is_stopped():
    """The job and its lease no longer exist; the attempt must not report an error of a document."""

    class NoRecord:
        async def run(self, _command):
            return None

    with pytest.raises(AttemptStopped):
        asyncio.run(answer.find_sources(fake(store=NoRecord()), "job_gone", REQUEST, fake(), fake()))


class Embeddings:
    """Embeds by a fixed cosine of unrelated texts, and records the texts of each call."""

    def __init__(self, cosine):
        self.cosine = cosine
        self.calls = []

    async def embed(self, _provider, request, *_):
        self.calls.append(request.input)
        length = math.sqrt(1 - self.cosine**2)
        vectors = [
            [self.cosine if text in PROBES[4:] else 1.0, length if text in PROBES[4:] else 0.0]
            for text in request.input
        ]
        return SimpleNamespace(vectors=[vector_encoding.pack(vector) for vector in vectors])


@pytest.mark.parametrize(("cosine", "measured"), [(0.0, 0.35), (0.06, 0.389), (0.73, 0.8245)])
def test_the_minimum_similarity_is_measured_once_for_the_embedding_model(cosine, measured):
    """In the call of the first question; later questions embed nothing else. A setting replaces the measurement."""
    settings = SimpleNamespace(document_embedding_model="m", effective_min_similarity=None)
    services = fake(settings=settings, governor=Embeddings(cosine), measured_similarities={})

    def ask():
        return asyncio.run(answer._embed_question(services, build_query("Why?", []), fake(), fake(total=1)))

    (vector, first), (_, second) = ask(), ask()
    settings.effective_min_similarity = 0.4

    assert first == second == pytest.approx(measured, abs=1e-3)
    assert list(vector) == [1.0, 0.0]
    assert services.governor.calls == [("Why?", *PROBES), ("Why?",)]
    assert ask()[1] == 0.4


def test_vectors_of_length_zero_are_measured_without_an_error():
    """A model that returns them finds nothing by vector."""
    assert measure_min_similarity([[0.0, 0.0]] * len(PROBES)) == pytest.approx(0.35)
