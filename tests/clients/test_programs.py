"""Programs written for OpenAI run as they are, with the clients that people have, whichever API the provider speaks."""

from collections.abc import Iterator

import pytest

from tests.clients.installed import node, python, run
from tests.support.stack import Stack, serving


@pytest.fixture(scope="module")
def stack(redis_url: str, upstream_url: str) -> Iterator[Stack]:
    with serving(redis_url, upstream_url, CHATQUEUE_MAX_ATTEMPTS="2") as stack, stack.worker():
        yield stack


@pytest.mark.parametrize(("client", "version"), [("openai", "3."), ("openai-2025", "2.8.")])
def test_a_python_program_runs_with_the_openai_of_today_and_of_a_year_ago(stack, client, version):
    told = run(python(client), "program.py", url=stack.url)

    assert told.startswith(f"openai {version}")
    assert told.count("\nok ") == 25


def test_a_javascript_program_runs_with_the_openai_of_npm(stack):
    told = run(node(), "program.mjs", url=stack.url)

    assert told.startswith("openai 7.")
    assert told.count("\nok ") == 24
