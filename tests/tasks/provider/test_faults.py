"""Faults of the provider and faults of the job, by what real providers send, through the real SDK."""

import asyncio
import json
from contextlib import aclosing

import pytest

from jobs.errors import AttemptError
from jobs.kinds.chat import ChatTask
from jobs.kinds.embeddings import EmbeddingsTask
from jobs.requests import Limits
from jobs.settings import Settings
from tasks.provider.providers import Providers
from tasks.provider.timeouts import Timeouts
from tests.support.answering_server import answering_server, sse
from tests.support.processes import free_port

CANARY = "canary-5d1e"
TIMEOUTS = Timeouts(total=10.0, first_token=5.0, idle=5.0)


def openai(code, kind="invalid_request_error", param=None, message=f"no {CANARY}"):
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def anthropic(kind, message=CANARY):
    return {"type": "error", "error": {"type": kind, "message": message}}


def google(status, *details, message=CANARY, name="RESOURCE_EXHAUSTED"):
    return [{"error": {"code": status, "message": message, "status": name, "details": list(details)}}]


def violations(*quota_ids):
    kind = "type.googleapis.com/google.rpc.QuotaFailure"
    return {"@type": kind, "violations": [{"quotaId": quota_id} for quota_id in quota_ids]}


RETRY_INFO = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "36.5s"}
PER_DAY = "GenerateRequestsPerDayPerProjectPerModel-FreeTier"
PER_MINUTE = "GenerateRequestsPerMinutePerProjectPerModel-FreeTier"
API_KEY_INVALID = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
TOO_LARGE = f"Request too large for m in organization {CANARY} on tokens per min (TPM): Limit 30000, Requested 40000."
AZURE_429 = {"error": {"code": "429", "message": "have exceeded token rate limit. Please retry after 7 seconds."}}
AZURE_FILTER = {"error": {"code": "content_filter", "type": None, "param": "prompt", "status": 400, "message": CANARY}}
MODERATION = {"error": {"code": 403, "message": "flagged", "metadata": {"reasons": ["x"], "flagged_input": CANARY}}}
MISTRAL_LIMIT = {"object": "error", "message": "Requests rate limit exceeded", "type": "rate_limited", "code": "1300"}
MISTRAL_MODEL = {"object": "error", "message": "Invalid model", "type": "invalid_model", "param": None, "code": "1500"}
VLLM_404 = {"object": "error", "message": "does not exist.", "type": "NotFoundError", "param": None, "code": 404}
CEREBRAS = {"message": "Tokens per minute limit", "type": "too_many_tokens_error", "code": "token_quota_exceeded"}
LOW_CREDIT = "Your credit balance is too low to access the Anthropic API."
LITELLM_MODEL = "{'error': '/chat/completions: Invalid model name passed in model=m.'}"
BAD_REQUEST_VLLM = {"error": {"message": "maximum context length", "type": "BadRequestError", "code": 400}}

RESPONSES = [
    # who, status, headers, body -> fault, code, seconds to wait
    ("OpenAI", 429, {"retry-after-ms": "250"}, openai("rate_limit_exceeded", "tokens"), "rate_limited", 0.25),
    ("OpenAI", 429, {}, openai("insufficient_quota", "insufficient_quota"), "quota", None),
    ("OpenAI", 429, {}, openai("billing_not_active", "billing_not_active"), "quota", None),
    ("OpenAI", 400, {}, openai("billing_hard_limit_reached"), "quota", None),
    ("OpenAI", 429, {}, openai("rate_limit_exceeded", "tokens", message=TOO_LARGE), None, None),
    ("OpenAI", 401, {}, openai("invalid_api_key"), "denied", None),
    ("OpenAI", 401, {}, openai(None, message="You have insufficient permissions for this operation."), "denied", None),
    ("OpenAI", 403, {}, openai("unsupported_country_region_territory", "request_forbidden"), "denied", None),
    ("OpenAI", 403, {}, openai("model_not_found"), "denied", None),
    ("OpenAI", 404, {}, openai("model_not_found"), "denied", None),
    ("OpenAI", 404, {}, openai(None, param="input", message="Files [file-1] were not found."), None, None),
    ("OpenAI", 404, {}, openai(None, message="Vector store with id [vs_1] not found."), None, None),
    ("OpenAI", 404, {}, openai(None, message="Invalid URL (POST /v1/chat)"), "denied", None),
    ("OpenAI", 400, {}, openai("context_length_exceeded", param="messages"), None, None),
    ("OpenAI", 400, {}, openai("invalid_prompt"), None, None),
    ("OpenAI", 400, {}, openai("content_policy_violation"), None, None),
    ("OpenAI", 500, {}, openai(None, "server_error"), "unavailable", None),
    ("OpenAI", 503, {"retry-after": "3"}, openai("slow_down", "server_error"), "unavailable", 3),
    ("OpenAI", 409, {}, openai("resource_busy"), "unavailable", None),
    ("Azure", 429, {"retry-after": "7"}, AZURE_429, "rate_limited", 7),
    ("Azure", 400, {}, AZURE_FILTER, None, None),
    ("Azure", 404, {}, {"error": {"code": "DeploymentNotFound", "message": "does not exist"}}, "denied", None),
    ("Azure", 401, {}, {"statusCode": 401, "message": "Unauthorized. Access token is missing."}, "denied", None),
    ("Azure", 403, {}, {"error": {"code": "AccessDenied", "message": "firewall rules"}}, "denied", None),
    ("Azure", 408, {}, {"error": {"code": "Timeout", "message": "The operation was timeout."}}, "unavailable", None),
    ("Groq", 429, {"retry-after": "2"}, openai("rate_limit_exceeded", "requests"), "rate_limited", 2),
    ("Groq", 413, {}, openai("rate_limit_exceeded", "tokens", message=TOO_LARGE), None, None),
    ("Groq", 400, {}, openai("blocked_api_access"), "quota", None),
    ("Groq", 400, {}, openai("model_decommissioned"), "denied", None),
    ("Groq", 400, {}, openai("organization_restricted"), "denied", None),
    ("Groq", 498, {}, openai("capacity_exceeded", "server_error"), "unavailable", None),
    ("Groq", 422, {}, openai("unprocessable_entity"), None, None),
    ("vLLM", 404, {}, VLLM_404, "denied", None),
    ("vLLM", 405, {}, {"detail": "Method Not Allowed"}, "denied", None),
    ("vLLM", 404, {}, {"error": VLLM_404}, "denied", None),
    ("vLLM", 400, {}, BAD_REQUEST_VLLM, None, None),
    ("vLLM", 401, {}, {"error": "Unauthorized"}, "denied", None),
    ("vLLM", 503, {}, "", "unavailable", None),
    ("vLLM", 500, {}, {"error": {"type": "InternalServerError", "code": 500}}, "unavailable", None),
    ("llama.cpp", 501, {}, openai(501, "not_supported_error", message="not supported"), "denied", None),
    ("a proxy", 501, {}, openai(None, param="tools"), None, None),
    ("LiteLLM", 429, {"retry-after": "5"}, openai("429", "throttling_error", "None"), "rate_limited", 5),
    ("LiteLLM", 429, {}, openai("429", "budget_exceeded"), "quota", None),
    ("LiteLLM", 400, {}, openai("400", "budget_exceeded"), "quota", None),
    ("LiteLLM", 400, {}, openai("400", "None", "None", LITELLM_MODEL), "denied", None),
    ("LiteLLM", 401, {}, openai("401", "auth_error", "None"), "denied", None),
    ("LiteLLM", 400, {}, openai("400", None), None, None),
    ("Gemini", 429, {}, google(429), "rate_limited", None),
    ("Gemini", 429, {}, google(429, violations(PER_MINUTE), RETRY_INFO), "rate_limited", 36.5),
    ("Gemini", 429, {}, google(429, violations(PER_MINUTE, PER_DAY), RETRY_INFO), "rate_limited", 36.5),
    ("Gemini", 429, {}, google(429, violations(PER_DAY), RETRY_INFO), "quota", None),
    ("Gemini", 400, {}, google(400, API_KEY_INVALID, name="INVALID_ARGUMENT"), "denied", None),
    ("Gemini", 400, {}, google(400, name="INVALID_ARGUMENT"), None, None),
    ("Gemini", 404, {}, google(404, name="NOT_FOUND"), "denied", None),
    ("Gemini", 503, {}, google(503, name="UNAVAILABLE"), "unavailable", None),
    ("Anthropic", 429, {"retry-after": "9"}, anthropic("rate_limit_error"), "rate_limited", 9),
    ("Anthropic", 529, {}, anthropic("overloaded_error"), "unavailable", None),
    ("Anthropic", 400, {}, anthropic("invalid_request_error", LOW_CREDIT), "quota", None),
    ("Anthropic", 402, {}, anthropic("billing_error"), "quota", None),
    ("Anthropic", 403, {}, anthropic("permission_error"), "denied", None),
    ("Anthropic", 413, {}, anthropic("request_too_large"), None, None),
    ("OpenRouter", 402, {}, {"error": {"code": 402, "message": "Insufficient credits"}}, "quota", None),
    ("OpenRouter", 403, {}, MODERATION, None, None),
    ("OpenRouter", 502, {}, {"error": {"code": 502, "message": "Provider error"}}, "unavailable", None),
    ("Mistral", 429, {}, MISTRAL_LIMIT, "rate_limited", None),
    ("Mistral", 400, {}, MISTRAL_MODEL, "denied", None),
    ("Mistral", 401, {}, {"detail": "Unauthorized"}, "denied", None),
    ("Mistral", 422, {}, {"object": "error", "message": {"detail": [{"msg": CANARY}]}}, None, None),
    ("Cerebras", 429, {}, CEREBRAS, "rate_limited", None),
    ("DeepSeek", 402, {}, openai("invalid_request_error", "unknown_error"), "quota", None),
    ("Moonshot", 429, {}, openai(None, "exceeded_current_quota_error"), "quota", None),
    ("a gateway", 504, {}, f"<html>{CANARY}</html>", "unavailable", None),
    ("a gateway", 410, {}, "", "denied", None),
]  # fmt: skip

STREAMS = [
    # who, events -> fault, code of the error
    ("OpenAI", [openai("rate_limit_exceeded", "tokens")], "rate_limited", "provider_rate_limited"),
    ("OpenAI", [openai("rate_limit_exceeded", "tokens", message=TOO_LARGE)], None, "provider_rejected_request"),
    ("OpenAI", [openai("insufficient_quota")], "quota", "provider_quota_exceeded"),
    ("OpenAI", [openai("server_error", "server_error")], "unavailable", "provider_stream_error"),
    ("OpenAI", [openai("invalid_prompt")], None, "provider_rejected_request"),
    ("OpenAI", [openai("something_new", None)], None, "provider_stream_error"),
    ("Anthropic", [anthropic("overloaded_error")], "unavailable", "provider_stream_error"),
    ("Anthropic", [anthropic("rate_limit_error")], "rate_limited", "provider_rate_limited"),
    ("vLLM", [BAD_REQUEST_VLLM], None, "provider_rejected_request"),
    ("vLLM", [{"error": {"type": "InternalServerError", "code": 500}}], "unavailable", "provider_unavailable"),
    ("LiteLLM", [openai("429", "None", "None")], "rate_limited", "provider_rate_limited"),
    ("Groq", [{"error": {"code": "tool_use_failed", "status_code": 400}}], None, "provider_rejected_request"),
    ("OpenRouter", [{"error": {"code": 502, "message": CANARY}}], "unavailable", "provider_unavailable"),
    ("a proxy", [{"error": "the model is busy"}], None, "provider_stream_error"),
    ("a server", [], "unavailable", "provider_stream_cut"),
]
HELLO = {"model": "m", "choices": [{"delta": {"content": "hello"}}]}


@pytest.fixture(scope="module")
def answering():
    with answering_server() as server:
        yield server


def error_of(url, timeouts=TIMEOUTS, call="chat", message="hi") -> AttemptError:
    async def run():
        provider = Providers(Settings(OPENAI_BASE_URL=url, OPENAI_API_KEY="sk-x"))
        try:
            if call == "embed":
                return await provider.embed(EmbeddingsTask(kind="embeddings", input=("a",)), timeouts)
            async with aclosing(provider.chat(ChatTask(kind="chat", message=message), timeouts)) as deltas:
                return [delta async for delta in deltas]
        finally:
            await provider.close()

    with pytest.raises(AttemptError) as failed:
        asyncio.run(run())
    assert CANARY not in f"{failed.value!r} {failed.value.message} {failed.value.code}"
    return failed.value


@pytest.mark.parametrize("call", ["chat", "embed"])
@pytest.mark.parametrize(
    ("who", "status", "headers", "body", "fault", "retry_after"), RESPONSES, ids=lambda value: str(value)[:30]
)
def test_a_refused_call_is_blamed_on_the_provider_or_on_the_job(
    answering, who, status, headers, body, fault, retry_after, call
):
    """A wait or another target helps against the provider's faults only; the job's own faults use up its attempts."""
    answering.reply = status, headers, body.encode() if isinstance(body, str) else json.dumps(body).encode()

    error = error_of(answering.url, call=call)

    assert error.fault == fault
    assert error.retry_after_seconds == retry_after
    assert error.is_retryable == (fault in ("rate_limited", "unavailable"))


@pytest.mark.parametrize(("who", "events", "fault", "code"), STREAMS, ids=lambda value: str(value)[:30])
def test_an_error_inside_a_stream_is_blamed_like_one_with_a_status(answering, who, events, fault, code):
    """Many providers answer 200 and report the error as an event."""
    answering.reply = 200, {"Content-Type": "text/event-stream"}, sse(*events)

    error = error_of(answering.url)

    assert (error.fault, error.code) == (fault, code)


@pytest.mark.parametrize(
    ("end", "fault"),
    [
        ([], None),
        ([openai("server_error", "server_error")], None),
        ([openai("rate_limit_exceeded", "tokens")], "rate_limited"),
        ([openai("insufficient_quota")], "quota"),
    ],
)
def test_an_answer_that_breaks_off_is_not_the_providers_fault(answering, end, fault):
    """The job may be the cause, and would break off at each attempt: such attempts count."""
    answering.reply = 200, {"Content-Type": "text/event-stream"}, sse(HELLO, *end)

    assert error_of(answering.url).fault == fault


def test_a_provider_that_cannot_be_reached_is_unavailable():
    """A refused connection is the plainest fault of a provider."""
    assert error_of(f"http://127.0.0.1:{free_port()}/v1").fault == "unavailable"


@pytest.mark.parametrize(
    ("limits", "deadline_seconds", "code", "fault"),
    [
        (None, 100, "provider_timeout", "unavailable"),
        (Limits(first_token_seconds=1.0), 100, "provider_timeout", "unavailable"),
        (Limits(first_token_seconds=0.1), 100, "provider_timeout", None),
        (Limits(attempt_seconds=0.1), 100, "provider_timeout", None),
        (None, 0.1, "deadline_exceeded", None),
    ],
)
def test_a_timeout_before_the_first_token_is_the_providers_unless_the_caller_shortened_it(
    model_url, limits, deadline_seconds, code, fault
):
    """A caller that waits only briefly must not make the provider look broken to all others."""
    settings = Settings(provider_first_token_seconds=0.3)

    error = error_of(model_url, Timeouts.of(limits, deadline_seconds, settings), message="[[offline delay=5]]")

    assert (error.code, error.fault) == (code, fault)


def test_a_stall_after_the_first_token_is_not_the_providers_fault(model_url):
    """The idle timeout ends an answer that has started, so the attempt counts."""
    error = error_of(model_url, Timeouts(total=10.0, first_token=5.0, idle=0.2), message="[[offline stall=2]]")

    assert (error.code, error.fault) == ("provider_timeout", None)
