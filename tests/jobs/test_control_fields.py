"""Fields that a gateway before the provider would obey: which names are refused, and which reach the provider."""

from typing import get_type_hints

import pytest
from openai.types import EmbeddingCreateParams
from openai.types.chat.completion_create_params import CompletionCreateParamsBase
from openai.types.responses.response_create_params import ResponseCreateParamsBase

from jobs.control_fields import refuse_control_fields
from jobs.kinds import JOB_REQUEST

REFUSED = [
    *("api_base", "api_key", "base_url", "api_type", "api_version", "organization", "custom_llm_provider"),
    *("model_list", "models", "fallbacks", "context_window_fallbacks", "content_policy_fallbacks", "user_config"),
    *("extra_headers", "headers", "extra_query", "extra_body", "provider_specific_header", "router_settings"),
    *("litellm_metadata", "litellm_params", "litellm_credential_name", "litellm_embedding_config", "litellm_call_id"),
    *("aws_access_key_id", "aws_sts_endpoint", "aws_bedrock_runtime_endpoint", "sagemaker_base_url"),
    *("s3_endpoint_url", "vertex_credentials", "vertex_project", "azure_ad_token", "deployment_url", "deployment_id"),
    *("langfuse_host", "langfuse_secret_key", "posthog_api_url", "slack_webhook_url", "dd_api_key", "dd_agent_host"),
    *("mock_response", "mock_testing_fallbacks", "input_cost_per_token", "ssl_verify", "turn_off_message_logging"),
    *("metadata", "success_callback", "no-log", "kv_transfer_params", "bootstrap_host"),
    *("API_BASE", "apiKey", "baseURL", "extra-headers", "api_\u212aey", "ba\u017fe_url"),
]
EXTENSIONS = [
    *("top_k", "stop_token_ids", "guided_json", "chat_template_kwargs", "min_tokens", "ignore_eos", "thinking"),
    *("provider", "input_type", "truncate", "cache_prompt", "repetition_penalty", "image_url", "vendor"),
]


@pytest.mark.parametrize("name", REFUSED)
def test_a_field_that_controls_a_gateway_is_refused(name):
    """However a gateway may spell it: some compare names without case."""
    with pytest.raises(ValueError, match="is not allowed: the server chooses the provider"):
        refuse_control_fields(["temperature", name])


def test_the_refusal_names_the_field_but_never_quotes_other_text():
    """A name of a field may be any text."""
    with pytest.raises(ValueError, match="api_base is not allowed"):
        refuse_control_fields({"model_list": [], "api_base": ""})
    with pytest.raises(ValueError, match="a field that controls a gateway is not allowed") as refused:
        refuse_control_fields(["my iban is canary-0a: url"])
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize("body", [CompletionCreateParamsBase, ResponseCreateParamsBase, EmbeddingCreateParams])
def test_the_fields_of_openai_and_usual_extensions_are_forwarded(body):
    """Except for metadata, which stays here."""
    refuse_control_fields([*get_type_hints(body).keys() - {"metadata"}, *EXTENSIONS])


def test_a_stored_request_with_a_refused_field_stays_readable():
    """It may have been accepted by another version."""
    stored = {"kind": "embeddings", "input": ("a",), "extra_body": {"api_base": "x"}}

    assert JOB_REQUEST.validate_python(stored).model_dump()["extra_body"] == {"api_base": "x"}
