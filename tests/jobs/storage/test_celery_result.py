"""The stored answer has Celery's own format: checked against Celery itself, not against a copy of its format."""

import json

import pytest
from celery.app.task import Context
from celery.exceptions import TaskRevokedError

from jobs.kinds.chat import ChatAnswer
from jobs.kinds.embeddings import EmbeddingsAnswer
from jobs.results import JobError, Usage
from jobs.storage import celery_result, keys
from jobs.vector_encoding import pack

ANSWER = ChatAnswer(
    text='quotes " and ünïcödé 🎈',
    model="m",
    finish_reason="stop",
    usage=Usage(input_tokens=1, output_tokens=2, total_tokens=3),
)
ERROR = JobError(code="provider_auth_failed", message="the provider answered 401")


def test_the_key_is_celerys(stock_celery):
    """Our result key is the one that Celery's own backend computes for a task id."""
    assert keys.result("job_1").encode() == stock_celery.backend.get_key_for_task("job_1")


def test_the_fields_are_those_that_celery_writes(stock_celery, redis_client):
    """A stored success has the same fields, in the same order and of the same types, as one that Celery stores."""
    stock_celery.backend.store_result("t", {"x": 1}, "SUCCESS", request=Context(id="t", children=[]))
    theirs = json.loads(redis_client.get(keys.result("t")))
    ours = json.loads(celery_result.success("t", ANSWER))

    assert list(ours) == list(theirs)
    assert {name: type(value) for name, value in ours.items()} == {name: type(value) for name, value in theirs.items()}


def test_a_stock_celery_client_gets_the_answer(stock_celery, redis_client):
    """AsyncResult.get of an unmodified Celery client returns the answer as a dict."""
    redis_client.set(keys.result("j"), celery_result.success("j", ANSWER))

    assert stock_celery.AsyncResult("j").get(timeout=5) == ANSWER.model_dump(mode="json")


def test_a_stock_celery_client_gets_a_failure_as_an_exception(stock_celery, redis_client):
    """The name and the arguments of the exception arrive without our code installed."""
    redis_client.set(keys.result("j"), celery_result.failure("j", ERROR))

    with pytest.raises(Exception, match="provider_auth_failed") as raised:
        stock_celery.AsyncResult("j").get(timeout=5)
    assert type(raised.value).__name__ == "JobFailed"
    assert raised.value.args == (ERROR.code, ERROR.message)


def test_a_stock_celery_client_gets_a_cancel_as_revoked(stock_celery, redis_client):
    """A cancelled job raises Celery's own TaskRevokedError in an unmodified client."""
    redis_client.set(keys.result("j"), celery_result.revoked_prefix("j") + "null}")

    with pytest.raises(TaskRevokedError):
        stock_celery.AsyncResult("j").get(timeout=5)


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (celery_result.success("j", ANSWER), (ANSWER, None)),
        (celery_result.success("j", EmbeddingsAnswer(vectors=(pack([0.5, -1.0]),), model="e", usage=None)), None),
        (celery_result.failure("j", ERROR), (None, ERROR)),
        (celery_result.failure("j", ERROR, ANSWER), (ANSWER, ERROR)),
        (celery_result.revoked_prefix("j") + "null}", (None, None)),
    ],
)
def test_a_stored_result_is_read_back_unchanged(stored, expected):
    """Reading a stored result returns the answer and the error that were written, partial answers included."""
    expected = expected or (EmbeddingsAnswer(vectors=(pack([0.5, -1.0]),), model="e", usage=None), None)

    assert celery_result.read(stored) == expected
