"""Programs written for OpenAI run unmodified, with each common client, whichever API the provider supports."""

import pytest

from tests.clients.installed import node, python, run


@pytest.mark.parametrize(("client", "version"), [("openai", "3."), ("openai-2025", "2.8.")])
def test_a_python_program_runs_with_the_openai_of_today_and_of_a_year_ago(either_api_stack, client, version):
    """An installed client need not be upgraded: the newest release and one of a year ago both work."""
    output = run(python(client), "program.py", url=either_api_stack.url)

    assert output.startswith(f"openai {version}")
    assert output.count("\nok ") == 25


def test_a_javascript_program_runs_with_the_openai_of_npm(either_api_stack):
    """The JavaScript client parses answers and streams by itself: it must accept them too."""
    output = run(node(), "program.mjs", url=either_api_stack.url)

    assert output.startswith("openai 7.")
    assert output.count("\nok ") == 24
