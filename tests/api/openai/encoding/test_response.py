"""The object of a response."""

import pytest

from api.openai.encoding.response import response_object
from api.openai.snapshot import JobSnapshot
from jobs.errors import ProviderError
from jobs.kinds.response import ResponseTask
from jobs.models import JobRecord
from jobs.results import JobError
from jobs.states import State


@pytest.mark.parametrize(
    ("provider_code", "code"),
    [("context_length_exceeded", "context_length_exceeded"), ("400", "invalid_prompt"), (None, "invalid_prompt")],
)
def test_the_code_of_an_error_is_the_providers_unless_that_is_a_status(provider_code, code):
    """LiteLLM and vLLM repeat the HTTP status as the code, which a client cannot tell from others."""
    record = JobRecord(
        job_id="resp_" + "0" * 32, kind="response", tenant="t", queue="q", state=State.FAILED, version=1, seq=1,
        attempts=1, max_attempts=1, created_at_ms=1_000, model="m",
    )  # fmt: skip
    provider_error = ProviderError(code=provider_code, message="too long")
    error = JobError(code="provider_rejected_request", message="the provider answered 400", provider=provider_error)
    task = ResponseTask(kind="response", body={"input": "hi"})

    assert response_object(JobSnapshot(record, task, None, error))["error"] == {"code": code, "message": "too long"}
