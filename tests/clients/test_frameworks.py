"""What stands on the openai client, or does without it: LangChain and LiteLLM, as they are."""

from collections.abc import Iterator

import pytest

from tests.clients.installed import python, run
from tests.support.stack import Stack, serving


@pytest.fixture(scope="module")
def stack(redis_url: str, model_url: str) -> Iterator[Stack]:
    with serving(redis_url, model_url) as stack, stack.worker():
        yield stack


def test_a_langchain_program_runs_by_chat_completions_and_by_responses(stack):
    told = run(python("langchain"), "langchain_program.py", url=stack.url)

    assert told.count("\nok ") == 9


def test_a_litellm_program_runs(stack):
    told = run(python("litellm"), "litellm_program.py", url=stack.url)

    assert told.count("\nok ") == 5
