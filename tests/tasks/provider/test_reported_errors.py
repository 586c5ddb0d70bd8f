"""The provider's own error reaches the caller, and nobody else."""

import json
import logging

import httpx2
import openai
import pytest

from jobs.errors import ProviderError
from jobs.results import JobError
from jobs.storage import celery_result
from tasks.provider.errors import from_status, from_stream_error
from tasks.provider.support import lacks_endpoint, refuses_stream
from tasks.provider.vendor_error import VendorError

CANARY = "canary-77aa"
TOO_LONG = {
    "message": f"too long: {CANARY}",
    "type": "invalid_request_error",
    "param": "messages",
    "code": "context_length_exceeded",
}
REQUEST = httpx2.Request("POST", "http://p/v1/responses")


def status_error(status, body):
    """The SDK's error for this status and body."""
    response = httpx2.Response(status, request=REQUEST)
    inner = body.get("error", body) if isinstance(body, dict) else body
    return openai.APIStatusError("m", response=response, body=inner)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"error": TOO_LONG}, ProviderError(**TOO_LONG)),
        ({"error": {"code": 400, "message": "bad"}}, ProviderError(code="400", message="bad")),
        ({"error": "boom"}, ProviderError(message="boom")),
        ({"detail": "max_tokens must be positive"}, ProviderError(message="max_tokens must be positive")),
        ({"detail": [{"loc": ["body", "n"], "msg": "required"}]}, ProviderError(message="body.n: required")),
        ("Payload too large", ProviderError(message="Payload too large")),
        ({"message": "key sk-abcdef123 is bad"}, ProviderError(message="key sk-*** is bad")),
        ("<html>Bad Gateway</html>", None),
        ({"error": {"code": [], "message": {}}}, None),
        ({"error": {"message": "bad", "type": "None", "param": "None", "code": "400"}},
         ProviderError(code="400", message="bad")),
        ([{"error": {"code": 400, "message": "bad", "status": "INVALID_ARGUMENT"}}],
         ProviderError(code="400", message="bad")),
        (None, None),
    ],
    ids=str,
)  # fmt: skip
def test_the_error_is_read_in_every_usual_form(body, error):
    """OpenAI's form, FastAPI's, a text; no HTML, and no part of a key."""
    assert VendorError.read(body).reported == error


def test_the_message_is_in_no_text_that_is_logged():
    """It may quote the prompt: neither the exception nor the job's error shows it."""
    for error in (from_status(400, VendorError.read(TOO_LONG), {}), from_stream_error(TOO_LONG)):
        job_error = JobError(code=error.code, message=error.message, provider=error.provider_error)
        logging.getLogger().debug("%s", error)
        assert CANARY not in f"{error!r} {error} {job_error!r} {job_error}"
        assert job_error.provider.message == TOO_LONG["message"]


def test_celery_does_not_show_the_message():
    """Flower shows the exception of a result; the message of the provider is kept beside it."""
    error = JobError(code="provider_rejected_request", message="m", provider=VendorError.read(TOO_LONG).reported)
    stored = json.loads(celery_result.failure("job_1", error))

    assert CANARY not in json.dumps(stored["result"])
    assert celery_result.read(json.dumps(stored))[1] == error


@pytest.mark.parametrize(("status", "keeps"), [(400, True), (404, True), (401, False), (403, False)])
def test_a_rejected_key_tells_the_caller_nothing(status, keeps):
    """The message of such an error may contain a part of the server's key."""
    error = from_status(status, VendorError.read(TOO_LONG), {})

    assert (error.provider_error is not None and error.provider_error.message is not None) == keeps


LITELLM = {"type": "None", "param": "None", "code": "404"}
KEY_ERROR = {"message": f"Incorrect API key: {CANARY}", "type": "invalid_request_error", "code": "invalid_api_key"}


@pytest.mark.parametrize(
    "error",
    [
        from_status(400, VendorError.read(KEY_ERROR), {}),
        from_stream_error(KEY_ERROR),
        from_stream_error({**KEY_ERROR, "code": 401}),
    ],
)
def test_a_rejected_key_tells_the_caller_nothing_whatever_its_status(error):
    """Google rejects a key with status 400, and proxies report it in a stream."""
    assert (error.code, error.fault, error.provider_error) == ("provider_auth_failed", "denied", None)


ABOUT_THE_REQUEST = [
    (404, {"error": {"message": "no such file", "param": "file_id", "code": "file_not_found"}}),
    (404, {"error": {"message": "Item with id 'rs_1' not found.", "param": "input", "code": None}}),
    (404, {"error": {"message": "The model `x` does not exist", "param": None, "code": "model_not_found"}}),
    (404, {"error": {"message": "model 'x' not found", "type": "api_error", "param": None, "code": None}}),
    (404, {"error": {"message": "No such File: file_1", "param": None, "code": None}}),
    (404, {"error": {"message": "The model `m` does not exist. Received Model Group=m\n", **LITELLM}}),
    (400, {"error": {"message": "Invalid URL", "param": None, "code": None}}),
]
ABOUT_THE_PATH = [
    (404, {"detail": "Not Found"}),
    (404, {"error": {"message": "Invalid URL (POST /v1/responses)", "param": None, "code": None}}),
    (404, {"error": {"message": "File Not Found", "type": "not_found_error", "code": 404}}),
    (404, {"error": {"message": 'OpenAIException - {"detail":"Not Found"}. Received Model Group=m\n', **LITELLM}}),
    (404, "404 page not found"),
    (404, None),
    (405, {"detail": "Method Not Allowed"}),
    (501, {"error": {"message": "not implemented", "param": None, "code": "model_not_found"}}),
]


@pytest.mark.parametrize(
    ("status", "body", "is_missing"),
    [*((*case, False) for case in ABOUT_THE_REQUEST), *((*case, True) for case in ABOUT_THE_PATH)],
    ids=str,
)
def test_only_a_missing_path_turns_to_the_other_format(status, body, is_missing):
    """A 404 about a model, a file or an item says nothing about what the provider supports."""
    assert lacks_endpoint(status_error(status, body)) is is_missing


@pytest.mark.parametrize(
    ("status", "body", "is_refused"),
    [
        (400, {"error": {"message": "must be verified", "param": "stream", "code": "unsupported_value"}}, True),
        (422, {"detail": "x", "param": "stream"}, True),
        (400, {"error": {"message": "Streaming is not supported for this model", "param": None}}, True),
        (400, {"error": {"message": "stream_options is not allowed", "param": "stream_options"}}, False),
        (400, {"error": {"message": "bad", "param": "messages"}}, False),
        (500, {"error": {"message": "bad", "param": "stream"}}, False),
    ],
    ids=str,
)
def test_a_refusal_to_stream_is_recognised(status, body, is_refused):
    """By the parameter that it names, or else by its text."""
    assert refuses_stream(status_error(status, body)) is is_refused
