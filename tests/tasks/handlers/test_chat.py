"""A chat call answered from documents: with citations, without sources, and with a fault while citing."""

import asyncio
from types import SimpleNamespace

import pytest

from documents.models import Source
from jobs.kinds.chat import ChatTask
from tasks.documents import answer
from tasks.handlers import chat
from tasks.provider.formats.delta import Delta
from tasks.provider.timeouts import Timeouts
from tests.tasks.attempt.fakes import ScriptedProvider, make_context

SOURCES = (Source(1, "doc_a", "a.pdf", 3, "The lamp burns oil.", 0.5),)
REQUEST = ChatTask(kind="chat", message="What burns?", documents="all")
TIMEOUTS = Timeouts(total=60, first_token=60, idle=60)


class NoRecords:
    """A store without any document."""

    async def run(self, _command):
        return None


def answer_from(monkeypatch, sources, provider):
    async def find_sources(*_):
        return sources

    async def count_ingesting(*_):
        return 0

    async def load_tenant(*_):
        return "default"

    monkeypatch.setattr(answer, "find_sources", find_sources)
    monkeypatch.setattr(answer, "count_ingesting", count_ingesting)
    monkeypatch.setattr(answer, "_load_tenant", load_tenant)

    async def run():
        context = make_context(
            REQUEST, provider=provider, timeouts=TIMEOUTS, documents=SimpleNamespace(store=NoRecords())
        )
        return await chat.run(context), context

    return asyncio.run(run())


def test_an_answer_from_documents_cites_its_sources(monkeypatch):
    """The prompt contains the sources, and the citation quotes the source that the answer names."""
    provider = ScriptedProvider(Delta(text="The lamp burns oil [1]."), Delta(finish_reason="stop", model="m"))

    chat_answer, context = answer_from(monkeypatch, SOURCES, provider)

    (request,) = provider.requests
    assert request.documents is None
    assert "The lamp burns oil." in request.message
    assert context.writer.input_chars == request.input_chars
    assert [citation.quote for citation in chat_answer.citations] == ["The lamp burns oil."]
    assert [(source.number, source.filename, source.page) for source in chat_answer.sources] == [(1, "a.pdf", 3)]


def test_without_a_source_no_provider_is_called(monkeypatch):
    """The answer states that there is none, has no citations and costs nothing."""
    provider = ScriptedProvider()

    chat_answer, _ = answer_from(monkeypatch, (), provider)

    assert provider.requests == []
    assert (chat_answer.citations, chat_answer.finish_reason, chat_answer.usage.total_tokens) == ((), "stop", 0)
    assert chat_answer.text


@pytest.mark.parametrize("fault", [IndexError, RecursionError, MemoryError])
def test_a_fault_while_citing_keeps_the_answer(monkeypatch, fault):
    """The text is paid for, so it is returned without citations."""

    def fail(*_):
        raise fault

    monkeypatch.setattr(answer, "extract_citations", fail)

    chat_answer, _ = answer_from(monkeypatch, SOURCES, ScriptedProvider(Delta(text="Oil [1].")))

    assert (chat_answer.text, chat_answer.citations) == ("Oil [1].", ())
