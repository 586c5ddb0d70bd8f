"""Stacks that the clients' programs run against: a web process, a worker and a provider."""

from collections.abc import Iterator

import pytest

from tests.clients.breaking_provider import breaking_provider
from tests.support.stack import Stack, serving


@pytest.fixture(scope="module")
def chat_completions_stack(redis_url: str, model_url: str, processes: None) -> Iterator[Stack]:
    """A stack whose provider supports chat completions only."""
    with serving(redis_url, model_url) as stack, stack.worker():
        yield stack


@pytest.fixture(scope="module")
def either_api_stack(redis_url: str, upstream_url: str, processes: None) -> Iterator[Stack]:
    """Two stacks, one after the other: the provider supports chat completions only, then Responses."""
    with serving(redis_url, upstream_url, CHATQUEUE_MAX_ATTEMPTS="2") as stack, stack.worker():
        yield stack


@pytest.fixture(scope="module")
def breaking_stack(redis_url: str, processes: None) -> Iterator[Stack]:
    """A stack whose provider breaks off each answer once, in mid-stream."""
    settings = {"CHATQUEUE_PROVIDER_API": "chat"}
    with (
        breaking_provider() as (provider_url, bodies),
        serving(redis_url, provider_url, **settings) as stack,
        stack.worker(),
    ):
        yield stack
        assert all(bodies.count(body) % 2 == 0 for body in bodies), "an answer was not repeated"
