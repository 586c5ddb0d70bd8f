"""Frameworks hold a conversation with function calls while the provider breaks off each answer once, in mid-stream.

Text or a call that reached a framework twice would appear twice in what it returns, or run the function twice.
"""

import pytest

from tests.clients.installed import node, python, run

PROGRAMS = [
    ("frameworks", "converse_langchain.py", 2),
    ("frameworks", "converse_agents.py", 3),
    ("frameworks", "converse_pydantic_ai.py", 3),
    ("frameworks", "converse_llm.py", 1),
    ("openai-2025", "converse_llama_index.py", 2),
    ("openai-2025", "converse_instructor.py", 2),
]


@pytest.mark.parametrize(("client", "program", "count"), PROGRAMS, ids=str)
def test_a_python_framework_gets_each_text_and_each_call_once(breaking_stack, tmp_path, client, program, count):
    """Nothing but a base URL and a key is configured."""
    output = run(python(client), program, url=breaking_stack.url, LLM_USER_PATH=str(tmp_path))

    assert output.count("\nok ") == count


def test_the_frameworks_of_npm_get_each_text_and_each_call_once(breaking_stack):
    """Vercel's AI SDK, the OpenAI Agents SDK and LangChain."""
    output = run(node(), "converse.mjs", url=breaking_stack.url)

    assert output.count("\nok ") == 6
