"""The registry of kinds: one object for each kind, from which adapters, names and ids are built."""

import pytest

from jobs.kinds import ANSWER, CONVERSATION_KINDS, KINDS, read_request
from jobs.kinds.chat import ChatAnswer, ChatTask
from jobs.kinds.completion import CompletionTask
from jobs.kinds.embeddings import EmbeddingsAnswer, EmbeddingsTask
from jobs.kinds.ingest import IngestTask
from jobs.kinds.response import ResponseTask
from jobs.kinds.text_completion import TextCompletionTask
from jobs.models import is_job_id, new_job_id
from jobs.request_fingerprint import fingerprint
from jobs.requests import Message
from jobs.results import Citation

DOCUMENT_ID = "doc_" + "0" * 32
CHAT = ChatTask(kind="chat", message="last", system="first", history=(Message(role="user", content="then"),))
EMBEDDINGS = EmbeddingsTask(kind="embeddings", input=("first", (1, 2), "last"))
RESPONSE = ResponseTask(kind="response", body={"input": "last"}, previous_items=({"content": "first"},))
INGEST = IngestTask(kind="ingest", document_id=DOCUMENT_ID, filename="a.pdf")


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_the_name_of_a_kind_is_the_discriminator_of_its_models(kind):
    """A stored request or answer with the name of another kind would be parsed as that kind."""
    assert kind.request.model_fields["kind"].annotation.__args__ == (kind.name,)
    assert kind.answer.model_fields["kind"].default == kind.name


def test_the_kinds_with_a_text_answer_are_conversations():
    """The partial text of these jobs is kept when they are cancelled."""
    assert {"chat", "completion", "response", "text_completion"} == CONVERSATION_KINDS


@pytest.mark.parametrize("prefix", ["job", "resp", "chatcmpl", "cmpl", "embd"])
def test_an_id_with_the_prefix_of_a_kind_is_well_formed(prefix):
    """An id that its own API rejects could never be looked up."""
    assert is_job_id(new_job_id(prefix))
    assert is_job_id(new_job_id("other"))  # a newer version may have a kind with a prefix of its own
    assert not is_job_id(new_job_id(""))
    assert not is_job_id(f"{prefix}_1")


@pytest.mark.parametrize("request_model", [CHAT, EMBEDDINGS, RESPONSE, INGEST], ids=lambda model: model.kind)
def test_a_stored_request_is_read_as_its_own_kind(request_model):
    """A worker must receive exactly the request that was submitted."""
    assert read_request(request_model.model_dump_json(exclude_defaults=True).encode()) == request_model


@pytest.mark.parametrize(
    "answer",
    [
        ChatAnswer(text="a", model="m", finish_reason="stop", usage=None),
        EmbeddingsAnswer(vectors=("AA==",), model="m", usage=None),
    ],
    ids=lambda answer: answer.kind,
)
def test_a_stored_answer_is_read_as_its_own_kind(answer):
    """A caller must receive exactly the answer that a worker wrote."""
    assert ANSWER.validate_python(answer.model_dump(mode="json")) == answer


@pytest.mark.parametrize(
    ("request_model", "texts"),
    [
        (CHAT, ["first", "then", "last"]),
        (EMBEDDINGS, ["first", "last"]),
        (RESPONSE, ["first", "last"]),
        (INGEST, []),
        (
            CompletionTask(kind="completion", body={"messages": [{"content": [{"type": "text", "text": "hi"}]}]}),
            ["hi"],
        ),
        (
            TextCompletionTask(kind="text_completion", body={"prompt": ["first", "last"], "suffix": "x"}),
            ["first", "last"],
        ),
        (TextCompletionTask(kind="text_completion", body={"prompt": [1, 2]}), []),
    ],
    ids=lambda value: getattr(value, "kind", ""),
)
def test_the_texts_of_a_request_are_all_that_the_model_reads(request_model, texts):
    """Token estimates count these texts, and the latest text comes last."""
    assert list(request_model.texts()) == texts
    assert request_model.input_chars == sum(map(len, texts))


@pytest.mark.parametrize(
    ("request_model", "preview"),
    [(CHAT, "last"), (EMBEDDINGS, "first"), (RESPONSE, "last"), (INGEST, "a.pdf")],
    ids=lambda value: getattr(value, "kind", ""),
)
def test_a_preview_shows_what_the_job_is_about(request_model, preview):
    """It is the latest message of a conversation, the first text to embed, or the name of a file."""
    assert request_model.preview_text == preview


def test_previous_items_do_not_change_the_fingerprint_of_a_response():
    """A repeated request must be recognised even if the previous response has expired in the meantime."""
    assert fingerprint(RESPONSE) == fingerprint(RESPONSE.model_copy(update={"previous_items": ()}))


def test_only_an_unstored_response_is_not_stored():
    """A caller that asks for `store: false` gets a record that expires soon."""
    assert RESPONSE.is_stored
    assert CHAT.is_stored
    assert not RESPONSE.model_copy(update={"store": False}).is_stored


def test_the_last_event_of_a_job_has_the_citations_of_its_answer():
    """A client that streams gets the same citations as a client that polls. Without documents the field is absent."""
    citation = Citation(document_id=DOCUMENT_ID, filename="a.pdf", page=1, quote="q", score=0.5)
    answer = ChatAnswer(text="a", model="m", finish_reason="stop", usage=None, citations=(citation,))

    assert answer.event_fields() == {"finish_reason": "stop", "citations": [citation.model_dump()]}
    assert answer.model_copy(update={"citations": None}).event_fields() == {"finish_reason": "stop"}
