"""The unmodified `openai` client, in the tests' own process."""

from collections.abc import Iterator

import openai
import pytest

from tests.support.processes import Process
from tests.support.stack import Stack, serving


@pytest.fixture(scope="module")
def stack(redis_url: str, upstream_url: str, processes: None) -> Iterator[Stack]:
    with serving(redis_url, upstream_url) as stack:
        yield stack


@pytest.fixture(scope="module")
def worker(stack: Stack) -> Iterator[Process]:
    with stack.worker() as process:
        yield process


@pytest.fixture
def client(stack: Stack, worker: Process) -> Iterator[openai.OpenAI]:
    with stack.client() as client:
        yield client
