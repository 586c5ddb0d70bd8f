"""The citations of an answer from documents, and the end of a question whose job is gone."""

import asyncio
import threading

import pytest

from documents.models import Source, SourceQuote
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
